// SPDX-License-Identifier: Apache-2.0
// config_activation.c: the three keys that name the activation of the feed-forward layers.
#include <stdio.h>
#include <string.h>

#include "engine/config_private.h"

// transformers' names of activations (ACT2FN). The first of each kind is the one that we write.
static const struct {
    const char *name;
    enum sy_activation activation;
} activations[] = {
    {"relu", SY_ACTIVATION_RELU},
    {"gelu_new", SY_ACTIVATION_GELU_NEW},
    {"gelu_pytorch_tanh", SY_ACTIVATION_GELU_NEW},
    {"gelu_python_tanh", SY_ACTIVATION_GELU_NEW},
    {"gelu_accurate", SY_ACTIVATION_GELU_NEW},
    {"gelu_fast", SY_ACTIVATION_GELU_NEW},
    {"gelu_python", SY_ACTIVATION_GELU}, // "gated-gelu" would mean gelu_new
    {"gelu", SY_ACTIVATION_GELU},
    {"silu", SY_ACTIVATION_SILU},
    {"swish", SY_ACTIVATION_SILU},
    {"quick_gelu", SY_ACTIVATION_QUICK_GELU},
};

static const char *activation_name(enum sy_activation activation, bool gated)
{
    if (activation == SY_ACTIVATION_USUAL)
        return gated ? "gelu_new" : "relu";
    size_t i = 0;
    while (activations[i].activation != activation)
        ++i;
    return activations[i].name;
}

/// What one key says. USUAL: it is absent.
struct spoken {
    bool gated;
    enum sy_activation activation;
    const char *text;
};

/// "relu", "gelu", "gated-silu", … As in transformers "gated-gelu" is gated gelu_new.
static enum sy_status read_spoken(struct sy_ctx *ctx, const json_t *root, const char *name, const char *key,
                                  struct spoken *out)
{
    const json_t *value = sy_config_key(root, key);
    const char *text = json_string_value(value);
    *out = (struct spoken){.text = text};
    if (value == NULL)
        return SY_OK;
    out->gated = text != NULL && strncmp(text, "gated-", 6) == 0;
    const char *bare = out->gated ? text + 6 : text;
    for (size_t i = 0; bare != NULL && i < SY_COUNT(activations); ++i)
        if (strcmp(bare, activations[i].name) == 0)
            out->activation = activations[i].activation;
    if (out->activation == SY_ACTIVATION_USUAL)
        return sy_config_wrong(
            ctx, name, key, value,
            "\"relu\", \"gelu\", \"gelu_new\", \"silu\" or \"quick_gelu\" (or another of transformers' names for "
            "them), gated ones as \"gated-gelu\"");
    if (out->gated && strcmp(bare, "gelu") == 0)
        out->activation = SY_ACTIVATION_GELU_NEW;
    return SY_OK;
}

static bool is_gelu(enum sy_activation a) { return a == SY_ACTIVATION_GELU || a == SY_ACTIVATION_GELU_NEW; }

/// T5 names its activation up to three times: feed_forward_proj is the old way, dense_act_fn with is_gated_act what
/// transformers makes of it, and believes where it is there. They must not contradict; but which gelu it is, and in
/// files of 2022 that it is gated, the newer keys alone may say.
enum sy_status sy_config_read_activation(struct sy_ctx *ctx, const json_t *root, const char *name,
                                         struct sy_config *config)
{
    struct spoken old, dense;
    enum sy_maybe gate;
    SY_TRY(read_spoken(ctx, root, name, "feed_forward_proj", &old));
    SY_TRY(read_spoken(ctx, root, name, "dense_act_fn", &dense));
    SY_TRY(sy_config_maybe(ctx, root, name, "is_gated_act", &gate));
    if (old.text != NULL && dense.text != NULL && old.activation != dense.activation &&
        !(is_gelu(old.activation) && is_gelu(dense.activation)))
        return sy_fail(ctx, SY_FORMAT, "%s: feed_forward_proj is \"%s\" but dense_act_fn is \"%s\": they contradict",
                       name, old.text, dense.text);
    const bool prefix = old.gated || dense.gated, bare = old.text != NULL && dense.text == NULL && !old.gated;
    if (gate == SY_NO ? prefix : gate == SY_YES && bare)
        return sy_fail(ctx, SY_FORMAT, "%s: %s is \"%s\" but is_gated_act is %s: they contradict", name,
                       old.gated || bare ? "feed_forward_proj" : "dense_act_fn",
                       old.gated || bare ? old.text : dense.text, gate == SY_YES ? "true" : "false");
    if (dense.gated && old.text != NULL && !old.gated)
        return sy_fail(ctx, SY_FORMAT, "%s: feed_forward_proj is \"%s\" but dense_act_fn is \"%s\": they contradict",
                       name, old.text, dense.text);
    const bool silent = old.text == NULL && dense.text == NULL, relative = config->family != SY_FAMILY_T5;
    const enum sy_activation absent = relative ? SY_ACTIVATION_GELU_NEW : SY_ACTIVATION_RELU;
    config->gated = prefix || gate == SY_YES || (silent && relative && gate == SY_ABSENT);
    config->activation = dense.text != NULL ? dense.activation : old.text != NULL ? old.activation : absent;
    if (config->activation == (config->gated ? SY_ACTIVATION_GELU_NEW : SY_ACTIVATION_RELU))
        config->activation = SY_ACTIVATION_USUAL;
    return SY_OK;
}

int sy_config_put_activation(struct sy_ctx *quiet, json_t *root, const struct sy_config *config)
{
    const char *main_key = config->is_switch ? "dense_act_fn" : "feed_forward_proj";
    struct sy_config there = {.family = config->family};
    if (sy_config_key(root, main_key) != NULL && sy_config_read_activation(quiet, root, "", &there) == SY_OK &&
        there.gated == config->gated && there.activation == config->activation)
        return 0;
    const char *bare = activation_name(config->activation, config->gated);
    char whole[40];
    snprintf(whole, sizeof whole, "gated-%s", strcmp(bare, "gelu_new") == 0 ? "gelu" : bare);
    const char *text = config->gated ? whole : bare;
    int bad = sy_config_put_string(root, main_key, text);
    if (config->is_switch && sy_config_key(root, "feed_forward_proj") != NULL)
        bad |= sy_config_put_string(root, "feed_forward_proj", text);
    if (!config->is_switch)
        bad |= sy_config_put_string(root, "dense_act_fn", bare);
    if (!config->is_switch || sy_config_key(root, "is_gated_act") != NULL)
        bad |= sy_config_put(root, "is_gated_act", json_boolean(config->gated));
    return bad;
}
