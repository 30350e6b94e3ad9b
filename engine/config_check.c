// SPDX-License-Identifier: Apache-2.0
// config_check.c: whether a config's values are possible, each for itself and together.
#include "engine/config_private.h"

#include <math.h>

#define MAX_ELEMENTS (1ull << 31) // one matrix

static enum sy_status check_range(struct sy_ctx *ctx, const struct sy_config *config, const struct sy_config_field *key,
                                  const char *name)
{
    double value = sy_config_field_get(config, key);
    bool factor = key->offset == offsetof(struct sy_config, capacity_factor_train) ||
                  key->offset == offsetof(struct sy_config, capacity_factor_eval);
    if (isnan(value) && factor)
        return SY_OK;
    bool low = key->flags & SY_CONFIG_OPEN_LOW ? value > key->min : value >= key->min;
    bool high = key->flags & SY_CONFIG_OPEN_HIGH ? value < key->max : value <= key->max;
    if (low && high)
        return SY_OK;
    return sy_fail(ctx, SY_FORMAT, "%s: %s is %.17g, expected %s %.9g and %s %.9g", name, key->name, value,
                   key->flags & SY_CONFIG_OPEN_LOW ? "above" : "at least", key->min,
                   key->flags & SY_CONFIG_OPEN_HIGH ? "below" : "at most", key->max);
}

static enum sy_status check_matrix(struct sy_ctx *ctx, const char *name, const char *keys_named, uint64_t a, uint64_t b,
                                   uint64_t c)
{
    // Each factor is at most 2^24, so a·b cannot overflow; a·b·c is compared by division.
    if (a * b < MAX_ELEMENTS && a * b <= (MAX_ELEMENTS - 1) / c)
        return SY_OK;
    return sy_fail(ctx, SY_FORMAT, "%s: %s makes a matrix of 2^31 elements or more (%llu x %llu x %llu)", name,
                   keys_named, (unsigned long long)a, (unsigned long long)b, (unsigned long long)c);
}

static enum sy_status check_ids(struct sy_ctx *ctx, const struct sy_config *c, const char *name)
{
    const char *key = c->pad_id >= c->vocab_size     ? "pad_token_id"
                      : c->eos_id >= c->vocab_size   ? "eos_token_id"
                      : c->start_id >= c->vocab_size ? "decoder_start_token_id"
                                                     : NULL;
    if (key != NULL)
        return sy_fail(ctx, SY_FORMAT, "%s: %s is outside the vocabulary (vocab_size %u)", name, key, c->vocab_size);
    return SY_OK;
}

static enum sy_status check_sparse(struct sy_ctx *ctx, const struct sy_config *c, const char *name)
{
    if (c->sparse_encoder_layers > c->layers || c->sparse_decoder_layers > c->decoder_layers) {
        bool decoder = c->sparse_encoder_layers <= c->layers;
        return sy_fail(ctx, SY_FORMAT, "%s: num_sparse_%s_layers is %u but num_%slayers is %u: they contradict", name,
                       decoder ? "decoder" : "encoder", decoder ? c->sparse_decoder_layers : c->sparse_encoder_layers,
                       decoder ? "decoder_" : "", decoder ? c->decoder_layers : c->layers);
    }
    if (c->router == SY_ROUTER_TOP2 && c->experts < 2)
        return sy_fail(ctx, SY_FORMAT, "%s: switchyard.router is \"top2\" but num_experts is %u, expected at least 2",
                       name, c->experts);
    if (c->exploration == SY_EXPLORE_INPUT_JITTER && c->jitter == 0)
        return sy_fail(ctx, SY_FORMAT,
                       "%s: switchyard.exploration is \"input_jitter\" but router_jitter_noise is 0: they contradict",
                       name);
    if (c->exploration == SY_EXPLORE_SAMPLE && c->router != SY_ROUTER_SWITCH)
        return sy_fail(ctx, SY_FORMAT, "%s: switchyard.exploration \"sample\" needs router \"switch\", found \"%s\"",
                       name, sy_router_name(c->router));
    return SY_OK;
}

enum sy_status sy_config_check(struct sy_ctx *ctx, const struct sy_config *config, const char *name)
{
    for (size_t i = 0; i < sy_config_field_count; ++i)
        if (config->is_switch || !(sy_config_fields[i].flags & SY_CONFIG_SWITCH))
            SY_TRY(check_range(ctx, config, &sy_config_fields[i], name));
    SY_TRY(check_matrix(ctx, name, "vocab_size and d_model", config->vocab_size, config->d_model, 1));
    SY_TRY(check_matrix(ctx, name, "num_heads, d_kv and d_model", config->heads, config->d_kv, config->d_model));
    SY_TRY(check_matrix(ctx, name, "d_ff and d_model", config->d_ff, config->d_model, 1));
    SY_TRY(check_matrix(ctx, name, "num_heads and relative_attention_num_buckets", config->heads, config->buckets, 1));
    SY_TRY(check_ids(ctx, config, name));
    if (config->is_switch && config->family != SY_FAMILY_T5)
        return sy_fail(ctx, SY_UNSUPPORTED, "%s: a sparse model of the family %s is not supported, only one of t5",
                       name, sy_config_families[config->family]);
    // The decoder's logarithmic buckets begin at buckets/2 and must end beyond it.
    if (config->max_distance <= config->buckets / 2)
        return sy_fail(
            ctx, SY_FORMAT,
            "%s: relative_attention_max_distance is %u, expected more than half of relative_attention_num_buckets (%u)",
            name, config->max_distance, config->buckets);
    if (!config->is_switch)
        return SY_OK;
    SY_TRY(check_matrix(ctx, name, "num_experts and d_model", config->experts, config->d_model, 1));
    return check_sparse(ctx, config, name);
}
