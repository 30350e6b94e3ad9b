// SPDX-License-Identifier: Apache-2.0
#include "engine/data/ids.h"

#include <stdlib.h>
#include <string.h>

#include "engine/data/words.h"

enum sy_status sy_ids_reserve(struct sy_ctx *ctx, struct sy_ids *ids, uint64_t more, const char *name)
{
    if (ids->count + more <= ids->room)
        return SY_OK;
    const uint64_t room = ids->count + more + ids->count / 2 + 1024;
    int32_t *bigger = realloc(ids->data, room * sizeof *bigger);
    if (bigger == NULL)
        return sy_fail(
            ctx, SY_NOMEM,
            "%s: out of host memory for %llu tokens; give fewer files, or prepare them with switchyard-prepare", name,
            (unsigned long long)room);
    ids->data = bigger;
    ids->room = room;
    return SY_OK;
}

enum sy_status sy_ids_add_line(struct sy_ctx *ctx, struct sy_ids *ids, const struct sy_tokenizer *tokenizer,
                               const char *text, size_t bytes, const char *name)
{
    int32_t *more;
    size_t count;
    SY_TRY(sy_tokenizer_encode(ctx, tokenizer, text, bytes, 0, &more, &count));
    enum sy_status status = sy_ids_reserve(ctx, ids, count, name);
    if (status == SY_OK && count > 0) {
        memcpy(ids->data + ids->count, more, count * sizeof *more);
        ids->count += count;
    }
    free(more);
    return status;
}

enum sy_status sy_ids_add_text(struct sy_ctx *ctx, struct sy_ids *ids, const struct sy_tokenizer *tokenizer,
                               struct sy_words *words, const char *text, size_t bytes, const char *name)
{
    if (sy_tokenizer_is_bytes(tokenizer)) // bytes need no cutting
        return sy_ids_add_line(ctx, ids, tokenizer, text, bytes, name);
    while (bytes > 0) {
        const char *newline = memchr(text, '\n', bytes);
        size_t n = newline != NULL ? (size_t)(newline - text) : bytes;
        SY_TRY(words != NULL ? sy_words_encode(ctx, words, text, n, ids, name)
                             : sy_ids_add_line(ctx, ids, tokenizer, text, n, name));
        n += newline != NULL;
        text += n;
        bytes -= n;
    }
    return SY_OK;
}
