// SPDX-License-Identifier: Apache-2.0
// config_write.c: struct sy_config to config.json. What was read and is not ours stays as it was written.
#include "engine/config_private.h"

#include <math.h>
#include <string.h>

#include "engine/json.h"

int sy_config_put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value); // value NULL (out of memory) is an error of its own
}

int sy_config_put_string(json_t *object, const char *key, const char *text)
{
    const char *old = json_string_value(json_object_get(object, key));
    return old != NULL && strcmp(old, text) == 0 ? 0 : sy_config_put(object, key, json_string(text));
}

// A value that is already there as the same number stays as it is written.
static int put_key(json_t *object, const struct sy_config_field *key, double value)
{
    const json_t *old = json_object_get(object, key->name);
    if (isnan(value))
        return json_object_del(object, key->name), 0;
    if (key->kind == SY_CONFIG_BOOL)
        return sy_config_put(object, key->name, json_boolean(value != 0));
    if (json_is_number(old) && json_number_value(old) == value)
        return 0;
    return sy_config_put(object, key->name,
                         key->kind == SY_CONFIG_U32 ? json_integer((json_int_t)value) : json_real(value));
}

static const char *type_name(const struct sy_config *config)
{
    return config->is_switch ? "switch_transformers" : sy_config_families[config->family];
}

static int put_type(json_t *root, const struct sy_config *config)
{
    static const char *const classes[] = {"T5ForConditionalGeneration", "MT5ForConditionalGeneration",
                                          "UMT5ForConditionalGeneration"};
    const char *type = type_name(config);
    const char *old = json_string_value(json_object_get(root, "model_type"));
    if (old != NULL && strcmp(old, type) == 0)
        return 0;
    int bad = sy_config_put(
        root, "architectures",
        json_pack("[s]", config->is_switch ? "SwitchTransformersForConditionalGeneration" : classes[config->family]));
    bad |= sy_config_put_string(root, "model_type", type);
    bad |= sy_config_put(root, "is_encoder_decoder", json_true());
    for (size_t i = 0; old != NULL && !config->is_switch && i < sy_config_field_count; ++i)
        if ((sy_config_fields[i].flags & (SY_CONFIG_SWITCH | SY_CONFIG_OURS)) ==
            SY_CONFIG_SWITCH) // a dense model made from a sparse one's config
            json_object_del(root, sy_config_fields[i].name);
    return bad;
}

static int put_ours(json_t *root, const struct sy_config *config)
{
    struct sy_config defaults;
    sy_config_defaults(config->is_switch, &defaults);
    defaults.expert_dropout = config->dropout;
    json_t *ours = json_object_get(root, "switchyard");
    json_t *object = json_is_object(ours) ? json_incref(ours) : json_object();
    int bad = object == NULL;
    int exploration = config->jitter > 0 ? SY_EXPLORE_INPUT_JITTER : SY_EXPLORE_ARGMAX;
    if (config->is_switch && (config->router != SY_ROUTER_SWITCH || sy_config_key(object, "router") != NULL))
        bad |= sy_config_put_string(object, "router", sy_router_name(config->router));
    if (config->is_switch && ((int)config->exploration != exploration || sy_config_key(object, "exploration") != NULL))
        bad |= sy_config_put_string(object, "exploration", sy_exploration_name(config->exploration));
    if (config->sentinels != SY_SENTINELS_UNSAID)
        bad |= sy_config_put_string(object, "sentinels", sy_sentinels_name(config->sentinels));
    for (size_t i = 0; i < sy_config_field_count; ++i) {
        double value = sy_config_field_get(config, &sy_config_fields[i]),
               usual = sy_config_field_get(&defaults, &sy_config_fields[i]);
        bool same = value == usual || (isnan(value) && isnan(usual));
        if ((sy_config_fields[i].flags & SY_CONFIG_OURS) &&
            (config->is_switch || !(sy_config_fields[i].flags & SY_CONFIG_SWITCH)) &&
            (!same || sy_config_key(object, sy_config_fields[i].name) != NULL))
            bad |= put_key(object, &sy_config_fields[i], value);
    }
    if (!bad && (ours != NULL || json_object_size(object) > 0))
        bad |= json_object_set(root, "switchyard", object);
    json_decref(object);
    return bad;
}

// Weights are written as F32, whatever they were read as; transformers casts to what it finds here.
static int put_dtype(json_t *root)
{
    static const char *const names[] = {"dtype", "torch_dtype"};
    int bad = 0;
    for (size_t i = 0; i < SY_COUNT(names); ++i)
        if (json_object_get(root, names[i]) != NULL)
            bad |= sy_config_put_string(root, names[i], "float32");
    json_object_del(root, "quantization_config");
    return bad;
}

static int put_all(struct sy_ctx *quiet, json_t *root, const struct sy_config *config)
{
    int bad = put_type(root, config) | put_dtype(root);
    for (size_t i = 0; i < sy_config_field_count; ++i)
        if (!(sy_config_fields[i].flags & SY_CONFIG_OURS) &&
            (config->is_switch || !(sy_config_fields[i].flags & SY_CONFIG_SWITCH)))
            bad |= put_key(root, &sy_config_fields[i], sy_config_field_get(config, &sy_config_fields[i]));
    bad |= sy_config_put_activation(quiet, root, config);
    if (config->scale_decoder_outputs == SY_ABSENT)
        json_object_del(root, "scale_decoder_outputs");
    else
        bad |= sy_config_put(root, "scale_decoder_outputs", json_boolean(config->scale_decoder_outputs == SY_YES));
    const json_t *capacity = json_object_get(root, "expert_capacity");
    if (!config->is_switch || config->expert_capacity < 0)
        json_object_del(root, "expert_capacity");
    else if (json_integer_value(capacity) != config->expert_capacity)
        bad |= sy_config_put(root, "expert_capacity", json_integer(config->expert_capacity));
    // Without this 0 Hugging Face would make a layer sparse all the same.
    for (int decoder = 0; decoder < 2; ++decoder)
        if (config->is_switch &&
            (sy_config_sparse_step(config, decoder) == 0 || sy_config_key(root, sy_config_step_keys[decoder]) != NULL))
            bad |=
                sy_config_put(root, sy_config_step_keys[decoder], json_integer(sy_config_sparse_step(config, decoder)));
        else if (!config->is_switch)
            json_object_del(root, sy_config_step_keys[decoder]);
    return bad | put_ours(root, config);
}

enum sy_status sy_config_save(struct sy_ctx *ctx, const struct sy_config *config, const char *path)
{
    SY_TRY(sy_config_check(ctx, config, path));
    json_t *root = config->extra != NULL ? json_deep_copy(config->extra) : json_object();
    struct sy_ctx *quiet = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    enum sy_status status = SY_OK;
    if (root == NULL || quiet == NULL || put_all(quiet, root, config) != 0)
        status = sy_fail(ctx, SY_NOMEM, "%s: out of memory for its JSON", path);
    else
        status = sy_json_save(ctx, root, path);
    if (quiet != NULL)
        sy_ctx_destroy(&quiet);
    json_decref(root);
    return status;
}

enum sy_status sy_config_save_generation(struct sy_ctx *ctx, const struct sy_config *config, const char *path)
{
    json_t *root = config->generation != NULL ? json_deep_copy(config->generation) : json_object();
    // Several ends of an output may be named there; the config's is the first.
    const json_t *ends = json_object_get(root, "eos_token_id");
    int bad = root == NULL || sy_config_put(root, "decoder_start_token_id", json_integer(config->start_id)) ||
              sy_config_put(root, "pad_token_id", json_integer(config->pad_id));
    if (!json_is_array(ends) || json_integer_value(json_array_get(ends, 0)) != config->eos_id)
        bad = bad || sy_config_put(root, "eos_token_id", json_integer(config->eos_id));
    enum sy_status status =
        !bad ? sy_json_save(ctx, root, path) : sy_fail(ctx, SY_NOMEM, "%s: out of memory for its JSON", path);
    json_decref(root);
    return status;
}
