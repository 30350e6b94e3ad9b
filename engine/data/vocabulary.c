// SPDX-License-Identifier: Apache-2.0
#include "engine/data/vocabulary.h"

static enum sy_status agree_trained(struct sy_ctx *ctx, const struct sy_tokenizer *t, const char *source,
                                    const char *name, struct sy_config *c)
{
    const uint32_t eos = (uint32_t)sy_tokenizer_eos(t), pad = (uint32_t)sy_tokenizer_pad(t);
    if (eos != c->eos_id)
        return sy_fail(ctx, SY_INVALID,
                       "%s has eos_token_id %u, but the vocabulary %s ends a text with %u: take the vocabulary it was "
                       "trained with (--tokenizer), or correct eos_token_id in its config.json",
                       name, c->eos_id, source, eos);
    if (pad != c->pad_id)
        sy_log(ctx, SY_LOG_WARN, "%s has pad_token_id %u, but the vocabulary %s pads with %u, which is used", name,
               c->pad_id, source, pad);
    c->pad_id = pad;
    return SY_OK;
}

enum sy_status sy_vocabulary_agree(struct sy_ctx *ctx, const struct sy_tokenizer *t, const char *source, bool trained,
                                   const char *name, struct sy_config *c)
{
    const uint32_t used = sy_tokenizer_used(t), natural = (used + 127) / 128 * 128;
    if (!sy_tokenizer_is_bytes(t) && c->vocab_size > natural)
        sy_log(ctx, SY_LOG_WARN, "%s has a vocabulary of %u, but %s uses %u ids: does it belong to it?", name,
               c->vocab_size, source, used);
    if (sy_tokenizer_is_bytes(t))
        c->sentinels = sy_tokenizer_numbering(t);
    if (trained)
        return agree_trained(ctx, t, source, name, c);
    const uint32_t pad = (uint32_t)sy_tokenizer_pad(t);
    c->start_id = c->start_id == c->pad_id ? pad : c->start_id;
    c->pad_id = pad;
    c->eos_id = (uint32_t)sy_tokenizer_eos(t);
    return SY_OK;
}
