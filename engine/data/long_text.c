// SPDX-License-Identifier: Apache-2.0
// long_text.c: the library adds the scores of a whole text in float: on a line of megabytes the sum is so large that
// what tells two ways to cut a word apart is rounded away, and it takes 70 bytes of memory for a byte of text.
#include "engine/data/long_text.h"

#include <stdlib.h>
#include <string.h>

struct ids {
    int32_t *data;
    size_t count, room;
};

static enum sy_status append(struct sy_ctx *ctx, struct ids *ids, const int32_t *more, size_t count)
{
    if (ids->count + count > ids->room) {
        const size_t room = ids->count + count + ids->count / 2 + 1024;
        int32_t *bigger = realloc(ids->data, room * sizeof *bigger);
        if (bigger == NULL)
            return sy_fail(ctx, SY_NOMEM, "out of memory for %zu token ids", room);
        ids->data = bigger;
        ids->room = room;
    }
    memcpy(ids->data + ids->count, more, count * sizeof *more);
    ids->count += count;
    return SY_OK;
}

/// Bytes up to the next single space, or to the end. A run of spaces stays with the word before and after it, for
/// models that keep it.
static size_t word_bytes(const char *text, size_t bytes)
{
    for (size_t i = 1; i + 1 < bytes; ++i)
        if (text[i] == ' ' && text[i - 1] != ' ' && text[i + 1] != ' ')
            return i;
    return bytes;
}

static enum sy_status encode_words(struct sy_ctx *ctx, const struct sy_spm *spm, const char *text, size_t bytes,
                                   struct ids *ids)
{
    while (bytes > 0) {
        const size_t n = word_bytes(text, bytes), used = n < bytes ? n + 1 : n;
        int32_t *word;
        size_t count;
        SY_TRY(sy_spm_encode(ctx, spm, text, n, &word, &count));
        enum sy_status status = append(ctx, ids, word, count);
        free(word);
        SY_TRY(status);
        text += used;
        bytes -= used;
    }
    return SY_OK;
}

enum sy_status sy_long_text_encode(struct sy_ctx *ctx, const struct sy_spm *spm, const char *text, size_t bytes,
                                   int32_t **out_ids, size_t *out_count)
{
    if (bytes <= SY_LONG_TEXT_BYTES || !sy_spm_words_alone(spm))
        return sy_spm_encode(ctx, spm, text, bytes, out_ids, out_count);
    struct ids ids = {0};
    enum sy_status status = encode_words(ctx, spm, text, bytes, &ids);
    if (status != SY_OK) {
        free(ids.data);
        return status;
    }
    *out_ids = ids.data;
    *out_count = ids.count;
    return SY_OK;
}
