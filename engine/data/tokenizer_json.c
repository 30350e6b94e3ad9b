// SPDX-License-Identifier: Apache-2.0
// tokenizer_json.c: reads "model", "normalizer" and "pre_tokenizer" of a tokenizer.json and writes the protobuf message
// that the SentencePiece library loads. What it cannot say in that form is refused: other ids would be worse than none.
#include "engine/data/tokenizer_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/tokenizer_state.h"
#include "engine/json.h"

// Fields of the messages.
enum { MODEL_PIECE = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_BYTE = 6 };
enum { TRAINER_TYPE = 3, TRAINER_BYTES = 35, TRAINER_PIECES = 4, TYPE_UNIGRAM = 1 };
enum {
    NORMALIZER_NAME = 1,
    NORMALIZER_TABLE = 2,
    NORMALIZER_PREFIX = 3,
    NORMALIZER_SQUEEZE = 4,
    NORMALIZER_ESCAPE = 5
};
#define SPACE "\xe2\x96\x81" // U+2581

struct text {
    char *data;
    size_t bytes, room;
    bool failed;
};

static void put(struct text *t, const void *data, size_t bytes)
{
    if (t->bytes + bytes > t->room) {
        const size_t room = 2 * (t->bytes + bytes) + 256;
        char *bigger = realloc(t->data, room);
        t->failed = t->failed || bigger == NULL;
        if (bigger == NULL)
            return;
        t->data = bigger;
        t->room = room;
    }
    if (bytes > 0)
        memcpy(t->data + t->bytes, data, bytes);
    t->bytes += bytes;
}

static void put_varint(struct text *t, uint64_t value)
{
    do {
        const uint8_t byte = (uint8_t)((value & 127) | (value > 127 ? 128 : 0));
        put(t, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static void put_number(struct text *t, uint32_t field, uint64_t value)
{
    put_varint(t, field << 3);
    put_varint(t, value);
}

static void put_float(struct text *t, uint32_t field, float value)
{
    put_varint(t, field << 3 | 5);
    put(t, &value, sizeof value);
}

static void put_bytes(struct text *t, uint32_t field, const void *data, size_t bytes)
{
    put_varint(t, field << 3 | 2);
    put_varint(t, bytes);
    put(t, data, bytes);
}

struct reading {
    struct sy_ctx *ctx;
    const char *file;
    bool prefix, squeeze, table;
    struct text normalizer;
};

static const char *type_of(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    return type != NULL ? type : "nameless";
}

// ---- the normaliser -------------------------------------------------------------------------------------------------

static int digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

static enum sy_status put_table(struct reading *r, const char *base64)
{
    struct text table = {0};
    uint32_t bits = 0, count = 0;
    size_t n = base64 != NULL ? strlen(base64) : 0;
    while (n > 0 && base64[n - 1] == '=')
        --n;
    for (size_t i = 0; i < n; ++i) {
        const int d = digit(base64[i]);
        if (d < 0) {
            free(table.data);
            return sy_fail(r->ctx, SY_FORMAT, "%s: precompiled_charsmap is not base64", r->file);
        }
        bits = bits << 6 | (uint32_t)d;
        count += 6;
        if (count >= 8) {
            count -= 8;
            const uint8_t byte = (uint8_t)(bits >> count);
            put(&table, &byte, 1);
        }
    }
    put_bytes(&r->normalizer, NORMALIZER_TABLE, table.data, table.bytes);
    r->normalizer.failed = r->normalizer.failed || table.failed;
    free(table.data);
    r->table = true;
    return SY_OK;
}

/// One normaliser. Spaces that are taken away or put together, SentencePiece does by itself.
static enum sy_status read_normalizer(struct reading *r, const json_t *n)
{
    const char *type = type_of(n),
               *pattern = json_string_value(json_object_get(json_object_get(n, "pattern"), "Regex"));
    if (strcmp(type, "Precompiled") == 0 && !r->table)
        return put_table(r, json_string_value(json_object_get(n, "precompiled_charsmap")));
    if (strcmp(type, "Strip") == 0 ||
        (strcmp(type, "Replace") == 0 && pattern != NULL && strcmp(pattern, " {2,}") == 0)) {
        r->squeeze = true;
        return SY_OK;
    }
    return sy_fail(
        r->ctx, SY_UNSUPPORTED,
        "%s: its normalizer has the step %.40s, expected Precompiled (and Strip or Replace of spaces): take the "
        "spiece.model that it was made from",
        r->file, type);
}

static enum sy_status read_normalizers(struct reading *r, const json_t *n)
{
    const json_t *list = json_object_get(n, "normalizers");
    if (n == NULL || json_is_null(n))
        return SY_OK;
    if (strcmp(type_of(n), "Sequence") != 0)
        return read_normalizer(r, n);
    for (size_t i = 0; i < json_array_size(list); ++i)
        SY_TRY(read_normalizer(r, json_array_get(list, i)));
    return SY_OK;
}

static enum sy_status read_splitter(struct reading *r, const json_t *p, bool *words)
{
    const char *type = type_of(p), *space = json_string_value(json_object_get(p, "replacement"));
    const char *scheme = json_string_value(json_object_get(p, "prepend_scheme"));
    if (strcmp(type, "WhitespaceSplit") == 0) {
        r->squeeze = true;
        return SY_OK;
    }
    if (strcmp(type, "Metaspace") != 0 || space == NULL || strcmp(space, SPACE) != 0)
        return sy_fail(r->ctx, SY_UNSUPPORTED,
                       "%s: its pre_tokenizer has the step %.40s, expected Metaspace with U+2581 (and WhitespaceSplit)",
                       r->file, type);
    *words = true;
    r->prefix = scheme != NULL ? strcmp(scheme, "never") != 0 : !json_is_false(json_object_get(p, "add_prefix_space"));
    return SY_OK;
}

static enum sy_status read_splitters(struct reading *r, const json_t *p)
{
    const json_t *list = json_object_get(p, "pretokenizers");
    bool words = false;
    if (strcmp(type_of(p), "Sequence") != 0)
        SY_TRY(read_splitter(r, p, &words));
    for (size_t i = 0; i < json_array_size(list); ++i)
        SY_TRY(read_splitter(r, json_array_get(list, i), &words));
    return words ? SY_OK : sy_fail(r->ctx, SY_UNSUPPORTED, "%s: its pre_tokenizer has no step Metaspace", r->file);
}

// ---- pieces ---------------------------------------------------------------------------------------------------------

static bool is_mask(const char *text)
{
    uint32_t index;
    return text != NULL && text[0] == '<' && sy_sentinel_name(text, strlen(text), &index) == strlen(text);
}

static const char *piece_text(const json_t *vocab, size_t i)
{
    return json_string_value(json_array_get(json_array_get(vocab, i), 0));
}

/// Special tokens are never found in a text as pieces.
static bool is_special(const json_t *added, size_t id)
{
    for (size_t i = 0; i < json_array_size(added); ++i) {
        const json_t *a = json_array_get(added, i), *its = json_object_get(a, "id");
        if (json_is_integer(its) && json_integer_value(its) == (json_int_t)id)
            return json_is_true(json_object_get(a, "special"));
    }
    return false;
}

static bool is_byte(const char *text) { return strlen(text) == 6 && memcmp(text, "<0x", 3) == 0 && text[5] == '>'; }

static enum sy_status put_pieces(struct reading *r, const json_t *root, struct text *out)
{
    const json_t *model = json_object_get(root, "model"), *vocab = json_object_get(model, "vocab");
    const json_t *added = json_object_get(root, "added_tokens"), *unk = json_object_get(model, "unk_id");
    const bool bytes = json_is_true(json_object_get(model, "byte_fallback"));
    size_t count = json_array_size(vocab);
    while (count > 0 && is_mask(piece_text(vocab, count - 1)))
        --count;
    if (count == 0)
        return sy_fail(r->ctx, SY_FORMAT, "%s: its vocabulary has no pieces", r->file);
    if (!json_is_integer(unk) || json_integer_value(unk) < 0 || (size_t)json_integer_value(unk) >= count)
        return sy_fail(r->ctx, SY_FORMAT, "%s: unk_id is missing or no piece", r->file);
    for (size_t i = 0; i < count; ++i) {
        struct text piece = {0};
        const json_t *score = json_array_get(json_array_get(vocab, i), 1);
        const char *text = piece_text(vocab, i);
        if (text == NULL || !json_is_number(score) || !isfinite((float)json_number_value(score)))
            return sy_fail(r->ctx, SY_FORMAT, "%s: entry %zu of its vocabulary is no pair of a text and a score",
                           r->file, i);
        put_bytes(&piece, PIECE_TEXT, text, strlen(text));
        put_float(&piece, PIECE_SCORE, (float)json_number_value(score));
        const uint32_t type = i == (size_t)json_integer_value(unk)    ? TYPE_UNKNOWN
                              : is_special(added, i) || is_mask(text) ? TYPE_CONTROL
                              : bytes && is_byte(text)                ? TYPE_BYTE
                                                                      : TYPE_NORMAL;
        put_number(&piece, PIECE_TYPE, type);
        put_bytes(out, MODEL_PIECE, piece.data, piece.bytes);
        out->failed = out->failed || piece.failed;
        free(piece.data);
    }
    struct text trainer = {0};
    put_number(&trainer, TRAINER_TYPE, TYPE_UNIGRAM);
    put_number(&trainer, TRAINER_PIECES, count);
    put_number(&trainer, TRAINER_BYTES, bytes);
    put_bytes(out, MODEL_TRAINER, trainer.data, trainer.bytes);
    out->failed = out->failed || trainer.failed;
    free(trainer.data);
    return SY_OK;
}

static enum sy_status build(struct reading *r, const json_t *root, struct text *out)
{
    const json_t *model = json_object_get(root, "model");
    const char *type = json_string_value(json_object_get(model, "type"));
    if (!json_is_array(json_object_get(model, "vocab")) || (type != NULL && strcmp(type, "Unigram") != 0))
        return sy_fail(r->ctx, SY_UNSUPPORTED,
                       "%s: its model is %.40s, expected Unigram, which T5 and its relatives have", r->file,
                       type != NULL ? type : "no list of pieces");
    SY_TRY(read_splitters(r, json_object_get(root, "pre_tokenizer")));
    SY_TRY(put_pieces(r, root, out));
    put_bytes(&r->normalizer, NORMALIZER_NAME, "tokenizer.json", 14);
    SY_TRY(read_normalizers(r, json_object_get(root, "normalizer")));
    put_number(&r->normalizer, NORMALIZER_PREFIX, r->prefix);
    put_number(&r->normalizer, NORMALIZER_SQUEEZE, r->squeeze);
    put_number(&r->normalizer, NORMALIZER_ESCAPE, 1);
    put_bytes(out, MODEL_NORMALIZER, r->normalizer.data, r->normalizer.bytes);
    if (out->failed || r->normalizer.failed)
        return sy_fail(r->ctx, SY_NOMEM, "%s: out of memory for the tokenizer", r->file);
    if (!r->table)
        sy_log(r->ctx, SY_LOG_WARN,
               "%s has no table of how characters are normalised (precompiled_charsmap): they are taken as they are",
               r->file);
    return SY_OK;
}

enum sy_status sy_tokenizer_json_model(struct sy_ctx *ctx, const char *text, size_t bytes, const char *file,
                                       char **out_model, size_t *out_bytes)
{
    struct reading r = {.ctx = ctx, .file = file};
    struct text out = {0};
    json_t *root = NULL;
    SY_TRY(sy_json_parse(ctx, text, bytes, file, &root));
    enum sy_status status = build(&r, root, &out);
    json_decref(root);
    free(r.normalizer.data);
    if (status != SY_OK) {
        free(out.data);
        return status;
    }
    *out_model = out.data;
    *out_bytes = out.bytes;
    return SY_OK;
}
