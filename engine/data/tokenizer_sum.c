// SPDX-License-Identifier: Apache-2.0
// tokenizer_sum.c: whether two vocabularies mean the same by their ids.
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "engine/data/tokenizer_state.h"

static void add(XXH3_state_t *state, int32_t id, const char *text)
{
    XXH3_128bits_update(state, &id, sizeof id);
    XXH3_128bits_update(state, text, strlen(text) + 1);
}

enum sy_status sy_tokenizer_sum(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer, char out_hex[33])
{
    const struct sy_tokenizer *t = tokenizer;
    XXH3_state_t *state = XXH3_createState();
    if (state == NULL || XXH3_128bits_reset(state) != XXH_OK) {
        XXH3_freeState(state);
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory", t->source);
    }
    if (t->spm == NULL)
        add(state, SY_BYTES_SPECIAL, "bytes");
    for (uint32_t i = 0; t->spm != NULL && i < t->pieces; ++i)
        add(state, (int32_t)i, sy_spm_piece(t->spm, (int32_t)i));
    for (size_t i = 0; i < t->added.count; ++i)
        if (!t->added.items[i].silent)
            add(state, t->added.items[i].id, t->added.items[i].text);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    for (size_t i = 0; i < sizeof canonical.digest; ++i)
        snprintf(out_hex + 2 * i, 3, "%02x", canonical.digest[i]);
    return SY_OK;
}
