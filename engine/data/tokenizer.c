// SPDX-License-Identifier: Apache-2.0
// tokenizer.c: bytes, or SentencePiece with sentinels around it.
#include "engine/data/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/long_text.h"
#include "engine/data/reader.h"
#include "engine/data/sentencepiece.h"
#include "engine/file.h"

#define BYTES_VOCAB 384u
#define BYTES_SPECIAL 3 // pad, eos, unk
#define BYTES_SENTINELS 125u
#define SPM_SENTINELS 100u
#define MAX_VOCAB (1u << 24)
#define MAX_MODEL_BYTES (256u << 20)
#define SENTINEL_HEAD "<extra_id_"
#define UNKNOWN "\xef\xbf\xbd" // U+FFFD

struct sy_tokenizer {
    struct sy_spm *spm;     ///< NULL: bytes.
    uint32_t vocab, pieces; ///< pieces: ids with a text of their own (bytes: 259).
    int32_t pad, eos, unk;
    uint32_t sentinel_count;
    int32_t sentinels[BYTES_SENTINELS];
};

// ---- opening --------------------------------------------------------------------------------------------------------

static enum sy_status open_bytes(struct sy_ctx *ctx, struct sy_tokenizer *t, uint32_t vocab)
{
    t->vocab = vocab != 0 ? vocab : BYTES_VOCAB;
    t->pieces = BYTES_SPECIAL + 256;
    t->eos = 1;
    t->unk = 2;
    if (t->vocab <= t->pieces || t->vocab > MAX_VOCAB)
        return sy_fail(ctx, SY_INVALID, "the model's vocab_size is %u; bytes need at least %u, usually %u", t->vocab,
                       t->pieces + 1, BYTES_VOCAB);
    uint32_t room = t->vocab - t->pieces;
    t->sentinel_count = room < BYTES_SENTINELS ? room : BYTES_SENTINELS;
    for (uint32_t i = 0; i < t->sentinel_count; ++i)
        t->sentinels[i] = (int32_t)(t->vocab - 1 - i);
    return SY_OK;
}

/// mT5 keeps its sentinels inside the model.
static void find_sentinels(struct sy_tokenizer *t)
{
    for (uint32_t i = 0; i < SPM_SENTINELS; ++i) {
        char piece[40];
        snprintf(piece, sizeof piece, "\xe2\x96\x81" SENTINEL_HEAD "%u>", i); // with U+2581 in front
        int32_t id = sy_spm_find(t->spm, piece + 3);
        id = id >= 0 ? id : sy_spm_find(t->spm, piece);
        if (id < 0)
            break;
        t->sentinels[t->sentinel_count++] = id;
    }
}

static enum sy_status open_pieces(struct sy_ctx *ctx, struct sy_tokenizer *t, const char *path, uint32_t vocab)
{
    t->pieces = sy_spm_pieces(t->spm);
    t->pad = sy_spm_pad(t->spm) >= 0 ? sy_spm_pad(t->spm) : 0;
    t->eos = sy_spm_eos(t->spm);
    t->unk = sy_spm_unk(t->spm);
    find_sentinels(t);
    uint32_t added = t->sentinel_count > 0 ? 0 : SPM_SENTINELS, needed = t->pieces + added;
    t->vocab = vocab != 0 ? vocab : (needed + 127) / 128 * 128;
    if (t->vocab < needed || t->vocab > MAX_VOCAB)
        return sy_fail(ctx, SY_INVALID,
                       "%s has %u pieces and %u sentinels, but the model's vocab_size is %u: "
                       "they do not belong together",
                       path, t->pieces, added, t->vocab);
    for (uint32_t i = 0; i < added; ++i)
        t->sentinels[t->sentinel_count++] = (int32_t)(needed - 1 - i);
    return t->eos >= 0 ? SY_OK : sy_fail(ctx, SY_FORMAT, "%s has no end-of-sentence piece (</s>)", path);
}

static enum sy_status open_model(struct sy_ctx *ctx, struct sy_tokenizer *t, const char *path, uint32_t vocab)
{
    char *data;
    size_t bytes;
    SY_TRY(sy_file_read(ctx, path, MAX_MODEL_BYTES, &data, &bytes));
    enum sy_status status = sy_spm_load(ctx, data, bytes, path, &t->spm);
    free(data);
    return status == SY_OK ? open_pieces(ctx, t, path, vocab) : status;
}

static enum sy_status open_source(struct sy_ctx *ctx, struct sy_tokenizer *t, const char *source, uint32_t vocab)
{
    if (strcmp(source, "bytes") == 0)
        return open_bytes(ctx, t, vocab);
    if (!sy_dir_exists(source))
        return open_model(ctx, t, source, vocab);
    char *path = sy_path_join(source, "spiece.model");
    if (path == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory", source);
    enum sy_status status =
        sy_file_exists(path)
            ? open_model(ctx, t, path, vocab)
            : sy_fail(ctx, SY_IO, "%s holds no spiece.model; name a SentencePiece model file, or \"bytes\"", source);
    free(path);
    return status;
}

enum sy_status sy_tokenizer_open(struct sy_ctx *ctx, const char *source, uint32_t vocab_size,
                                 struct sy_tokenizer **out_tokenizer)
{
    struct sy_tokenizer *t = calloc(1, sizeof *t);
    if (t == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory for the tokenizer", source);
    enum sy_status status = open_source(ctx, t, source, vocab_size);
    if (status != SY_OK) {
        sy_tokenizer_close(&t);
        return status;
    }
    *out_tokenizer = t;
    return SY_OK;
}

void sy_tokenizer_close(struct sy_tokenizer **tokenizer)
{
    struct sy_tokenizer *t = *tokenizer;
    if (t == NULL)
        return;
    if (t->spm != NULL)
        sy_spm_free(t->spm);
    free(t);
    *tokenizer = NULL;
}

// ---- encoding -------------------------------------------------------------------------------------------------------

struct ids {
    int32_t *data;
    size_t count, room;
};

static enum sy_status grow(struct sy_ctx *ctx, struct ids *ids, size_t more)
{
    if (ids->data != NULL && ids->count + more <= ids->room)
        return SY_OK;
    size_t room = ids->count + more + ids->count / 2 + 1;
    int32_t *bigger = realloc(ids->data, room * sizeof *bigger);
    if (bigger == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of memory for %zu token ids", room);
    ids->data = bigger;
    ids->room = room;
    return SY_OK;
}

static enum sy_status encode_plain(struct sy_ctx *ctx, const struct sy_tokenizer *t, const char *text, size_t bytes,
                                   struct ids *ids)
{
    if (bytes == 0)
        return SY_OK;
    if (t->spm == NULL) {
        SY_TRY(grow(ctx, ids, bytes));
        for (size_t i = 0; i < bytes; ++i)
            ids->data[ids->count++] = (uint8_t)text[i] + BYTES_SPECIAL;
        return SY_OK;
    }
    int32_t *more;
    size_t count;
    SY_TRY(sy_long_text_encode(ctx, t->spm, text, bytes, &more, &count));
    enum sy_status status = grow(ctx, ids, count);
    if (status == SY_OK) {
        memcpy(ids->data + ids->count, more, count * sizeof *more);
        ids->count += count;
    }
    free(more);
    return status;
}

/// Bytes of the "<extra_id_N>" at `text`, or 0 when it is none; N without leading zeros and one we have.
static size_t sentinel_at(const struct sy_tokenizer *t, const char *text, size_t bytes, uint32_t *out_index)
{
    size_t head = strlen(SENTINEL_HEAD), i = head;
    uint32_t index = 0;
    if (bytes < head + 2 || memcmp(text, SENTINEL_HEAD, head) != 0)
        return 0;
    for (; i < bytes && i < head + 4 && text[i] >= '0' && text[i] <= '9'; ++i)
        index = 10 * index + (uint32_t)(text[i] - '0');
    bool number = i > head && (text[head] != '0' || i == head + 1);
    if (!number || i >= bytes || text[i] != '>' || index >= t->sentinel_count)
        return 0;
    *out_index = index;
    return i + 1;
}

static enum sy_status encode_marked(struct sy_ctx *ctx, const struct sy_tokenizer *t, const char *text, size_t bytes,
                                    struct ids *ids)
{
    size_t plain = 0;
    for (size_t i = 0; i < bytes;) {
        uint32_t index;
        size_t n = text[i] == '<' ? sentinel_at(t, text + i, bytes - i, &index) : 0;
        if (n == 0) {
            ++i;
            continue;
        }
        SY_TRY(encode_plain(ctx, t, text + plain, i - plain, ids));
        SY_TRY(grow(ctx, ids, 1));
        ids->data[ids->count++] = t->sentinels[index];
        i += n;
        plain = i;
    }
    return encode_plain(ctx, t, text + plain, bytes - plain, ids);
}

enum sy_status sy_tokenizer_encode(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer, const char *text,
                                   size_t bytes, uint32_t flags, int32_t **out_ids, size_t *out_count)
{
    struct ids ids = {0};
    enum sy_status status = flags & SY_ENCODE_SENTINELS ? encode_marked(ctx, tokenizer, text, bytes, &ids)
                                                        : encode_plain(ctx, tokenizer, text, bytes, &ids);
    if (status == SY_OK)
        status = grow(ctx, &ids, 1);
    if (status != SY_OK) {
        free(ids.data);
        return status;
    }
    if (flags & SY_ENCODE_EOS)
        ids.data[ids.count++] = tokenizer->eos;
    *out_ids = ids.data;
    *out_count = ids.count;
    return SY_OK;
}

// ---- decoding -------------------------------------------------------------------------------------------------------

struct text {
    char *data;
    size_t bytes, room;
};

static enum sy_status append(struct sy_ctx *ctx, struct text *text, const char *data, size_t bytes)
{
    if (text->data == NULL || text->bytes + bytes >= text->room) {
        size_t room = 2 * (text->bytes + bytes + 32);
        char *bigger = realloc(text->data, room);
        if (bigger == NULL)
            return sy_fail(ctx, SY_NOMEM, "out of memory for %zu bytes of decoded text", room);
        text->data = bigger;
        text->room = room;
    }
    if (bytes > 0)
        memcpy(text->data + text->bytes, data, bytes);
    text->bytes += bytes;
    text->data[text->bytes] = '\0';
    return SY_OK;
}

/// Appends bytes, what is no UTF-8 (or a NUL, which would end the string) replaced by U+FFFD.
static enum sy_status append_valid(struct sy_ctx *ctx, struct text *text, const char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        size_t n = data[i] == '\0' ? 0 : sy_utf8_length(data + i, bytes - i);
        SY_TRY(n > 0 ? append(ctx, text, data + i, n) : append(ctx, text, UNKNOWN, strlen(UNKNOWN)));
        i += n > 0 ? n : 1;
    }
    return SY_OK;
}

static enum sy_status decode_bytes(struct sy_ctx *ctx, const int32_t *ids, size_t count, struct text *text)
{
    char *bytes = malloc(count + 1);
    if (bytes == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of memory for %zu bytes of decoded text", count);
    for (size_t i = 0; i < count; ++i)
        bytes[i] = (char)(ids[i] < BYTES_SPECIAL ? '\0' : ids[i] - BYTES_SPECIAL); // unk shows as U+FFFD
    enum sy_status status = append_valid(ctx, text, bytes, count);
    free(bytes);
    return status;
}

/// `ids` are pieces without pad and eos.
static enum sy_status decode_run(struct sy_ctx *ctx, const struct sy_tokenizer *t, const int32_t *ids, size_t count,
                                 struct text *text)
{
    if (count == 0)
        return SY_OK;
    if (t->spm == NULL)
        return decode_bytes(ctx, ids, count, text);
    char *plain;
    size_t bytes;
    SY_TRY(sy_spm_decode(ctx, t->spm, ids, count, &plain, &bytes));
    enum sy_status status = SY_OK;
    if (text->bytes > 0 && bytes > 0) // SentencePiece drops the space before a text's first word
        status = append(ctx, text, " ", 1);
    if (status == SY_OK)
        status = append_valid(ctx, text, plain, bytes);
    free(plain);
    return status;
}

static enum sy_status decode_special(struct sy_ctx *ctx, const struct sy_tokenizer *t, int32_t id, struct text *text)
{
    if (id == t->pad || id == t->eos)
        return SY_OK;
    if (t->spm != NULL && text->bytes > 0)
        SY_TRY(append(ctx, text, " ", 1));
    for (uint32_t i = 0; i < t->sentinel_count; ++i)
        if (t->sentinels[i] == id) {
            char name[40];
            int n = snprintf(name, sizeof name, SENTINEL_HEAD "%u>", i);
            return append(ctx, text, name, (size_t)n);
        }
    return append(ctx, text, UNKNOWN, strlen(UNKNOWN));
}

static bool is_plain(const struct sy_tokenizer *t, int32_t id)
{
    if (id == t->pad || id == t->eos || id < 0 || (uint32_t)id >= t->pieces)
        return false;
    if (t->sentinel_count > 0 && (uint32_t)t->sentinels[0] >= t->pieces)
        return true; // all sentinels lie above the pieces
    for (uint32_t i = 0; i < t->sentinel_count; ++i)
        if (t->sentinels[i] == id)
            return false;
    return true;
}

static enum sy_status decode(struct sy_ctx *ctx, const struct sy_tokenizer *t, const int32_t *ids, size_t count,
                             struct text *text)
{
    size_t first = 0;
    SY_TRY(append(ctx, text, "", 0));
    for (size_t i = 0; i < count; ++i) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= t->vocab)
            return sy_fail(ctx, SY_INVALID, "token %zu is %d, outside the vocabulary of %u", i, ids[i], t->vocab);
        if (is_plain(t, ids[i]))
            continue;
        SY_TRY(decode_run(ctx, t, ids + first, i - first, text));
        SY_TRY(decode_special(ctx, t, ids[i], text));
        first = i + 1;
    }
    return decode_run(ctx, t, ids + first, count - first, text);
}

enum sy_status sy_tokenizer_decode(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer, const int32_t *ids,
                                   size_t count, char **out_text)
{
    struct text text = {0};
    enum sy_status status = decode(ctx, tokenizer, ids, count, &text);
    if (status != SY_OK) {
        free(text.data);
        return status;
    }
    *out_text = text.data;
    return SY_OK;
}

// ---- facts ----------------------------------------------------------------------------------------------------------

uint32_t sy_tokenizer_vocab(const struct sy_tokenizer *tokenizer) { return tokenizer->vocab; }
uint32_t sy_tokenizer_sentinels(const struct sy_tokenizer *tokenizer) { return tokenizer->sentinel_count; }
int32_t sy_tokenizer_pad(const struct sy_tokenizer *tokenizer) { return tokenizer->pad; }
int32_t sy_tokenizer_eos(const struct sy_tokenizer *tokenizer) { return tokenizer->eos; }
int32_t sy_tokenizer_unk(const struct sy_tokenizer *tokenizer) { return tokenizer->unk; }
bool sy_tokenizer_is_bytes(const struct sy_tokenizer *tokenizer) { return tokenizer->spm == NULL; }

int32_t sy_tokenizer_sentinel(const struct sy_tokenizer *tokenizer, uint32_t index)
{
    return index < tokenizer->sentinel_count ? tokenizer->sentinels[index] : -1;
}
