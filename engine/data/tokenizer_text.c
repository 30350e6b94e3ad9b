// SPDX-License-Identifier: Apache-2.0
// tokenizer_text.c: text to ids and back.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/long_text.h"
#include "engine/data/reader.h"
#include "engine/data/tokenizer_state.h"

#define UNKNOWN "\xef\xbf\xbd" // U+FFFD

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
            ids->data[ids->count++] = (uint8_t)text[i] + SY_BYTES_SPECIAL;
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

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// The token that is written at text[at] as such: its id and length; 0 when there is none. `*strip`: which spaces
/// beside it belong to it.
static size_t token_at(const struct sy_tokenizer *t, const char *text, size_t bytes, size_t at, bool sentinels,
                       int32_t *out_id, const struct sy_added **strip)
{
    uint32_t index;
    size_t n = sentinels && text[at] == '<' ? sy_sentinel_name(text + at, bytes - at, &index) : 0;
    *strip = NULL;
    if (n > 0 && index < t->sentinel_count) {
        *out_id = t->sentinels[index];
        return n;
    }
    const struct sy_added *a = sy_added_match(&t->added, text, bytes, at);
    if (a == NULL)
        return 0;
    *out_id = a->id;
    *strip = a;
    return a->bytes;
}

static enum sy_status encode_marked(struct sy_ctx *ctx, const struct sy_tokenizer *t, const char *text, size_t bytes,
                                    bool sentinels, struct ids *ids)
{
    size_t plain = 0;
    for (size_t i = 0; i < bytes;) {
        int32_t id;
        const struct sy_added *a;
        const size_t n = token_at(t, text, bytes, i, sentinels, &id, &a);
        if (n == 0) {
            ++i;
            continue;
        }
        size_t end = i;
        while (a != NULL && a->lstrip && end > plain && is_space(text[end - 1]))
            --end;
        SY_TRY(encode_plain(ctx, t, text + plain, end - plain, ids));
        SY_TRY(grow(ctx, ids, 1));
        ids->data[ids->count++] = id;
        i += n;
        while (a != NULL && a->rstrip && i < bytes && is_space(text[i]))
            ++i;
        plain = i;
    }
    return encode_plain(ctx, t, text + plain, bytes - plain, ids);
}

enum sy_status sy_tokenizer_encode(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer, const char *text,
                                   size_t bytes, uint32_t flags, int32_t **out_ids, size_t *out_count)
{
    struct ids ids = {0};
    const bool sentinels = flags & SY_ENCODE_SENTINELS;
    enum sy_status status = sentinels || tokenizer->added.count > 0
                                ? encode_marked(ctx, tokenizer, text, bytes, sentinels, &ids)
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

static enum sy_status append_sentinel(struct sy_ctx *ctx, struct text *text, uint32_t index)
{
    char name[40];
    int n = snprintf(name, sizeof name, SY_SENTINEL_HEAD "%u>", index);
    return append(ctx, text, name, (size_t)n);
}

/// Appends bytes, what is no UTF-8 (or a NUL, which would end the string) replaced by U+FFFD. `masks`: the last so many
/// bytes are masks where they are no part of a character.
static enum sy_status append_valid(struct sy_ctx *ctx, struct text *text, const char *data, size_t bytes,
                                   uint32_t masks)
{
    for (size_t i = 0; i < bytes;) {
        const size_t n = data[i] == '\0' ? 0 : sy_utf8_length(data + i, bytes - i);
        const uint32_t index = 255u - (uint8_t)data[i];
        SY_TRY(n > 0           ? append(ctx, text, data + i, n)
               : index < masks ? append_sentinel(ctx, text, index)
                               : append(ctx, text, UNKNOWN, strlen(UNKNOWN)));
        i += n > 0 ? n : 1;
    }
    return SY_OK;
}

static enum sy_status decode_bytes(struct sy_ctx *ctx, const struct sy_tokenizer *t, const int32_t *ids, size_t count,
                                   struct text *text)
{
    char *bytes = malloc(count + 1);
    if (bytes == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of memory for %zu bytes of decoded text", count);
    for (size_t i = 0; i < count; ++i)
        bytes[i] = (char)(ids[i] < SY_BYTES_SPECIAL ? '\0' : ids[i] - SY_BYTES_SPECIAL); // unk shows as U+FFFD
    enum sy_status status =
        append_valid(ctx, text, bytes, count, t->numbering == SY_SENTINELS_BYT5 ? SY_BYT5_SENTINELS : 0);
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
        return decode_bytes(ctx, t, ids, count, text);
    char *plain;
    size_t bytes;
    SY_TRY(sy_spm_decode(ctx, t->spm, ids, count, &plain, &bytes));
    enum sy_status status = SY_OK;
    if (text->bytes > 0 && bytes > 0) // SentencePiece drops the space before a text's first word
        status = append(ctx, text, " ", 1);
    if (status == SY_OK)
        status = append_valid(ctx, text, plain, bytes, 0);
    free(plain);
    return status;
}

static enum sy_status decode_special(struct sy_ctx *ctx, const struct sy_tokenizer *t, int32_t id, struct text *text)
{
    const enum sy_id_kind kind = (enum sy_id_kind)t->kinds[id];
    if (kind == SY_ID_HIDDEN)
        return SY_OK;
    if (t->spm != NULL && text->bytes > 0)
        SY_TRY(append(ctx, text, " ", 1));
    if (kind == SY_ID_ADDED) {
        const struct sy_added *a = sy_added_with_id(&t->added, id);
        return append(ctx, text, a->text, a->bytes);
    }
    for (uint32_t i = 0; i < t->sentinel_count && kind == SY_ID_SENTINEL; ++i)
        if (t->sentinels[i] == id)
            return append_sentinel(ctx, text, i);
    return append(ctx, text, UNKNOWN, strlen(UNKNOWN));
}

static enum sy_status decode(struct sy_ctx *ctx, const struct sy_tokenizer *t, const int32_t *ids, size_t count,
                             struct text *text)
{
    size_t first = 0;
    SY_TRY(append(ctx, text, "", 0));
    for (size_t i = 0; i < count; ++i) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= t->vocab)
            return sy_fail(ctx, SY_INVALID, "token %zu is %d, outside the vocabulary of %u", i, ids[i], t->vocab);
        if (t->kinds[ids[i]] == SY_ID_PLAIN)
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
