// SPDX-License-Identifier: Apache-2.0
// config.c: config.json to struct sy_config. One table lists the plain keys; the rest is below it.
#include "engine/config_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/json.h"

#define MAX_SIDE 16777216.0 // of a matrix, a vocabulary, a sequence: 2^24
#define MAX_COUNT 65536.0
#define MAX_LAYERS 512.0 // of a stack; planning time grows with the square
#define BIG 1e6

static const char *const router_names[] = {"switch", "top2", "expert_choice", "ntlb"};
static const char *const exploration_names[] = {"argmax", "sample", "input_dropout", "input_jitter"};

const char *const sy_config_families[] = {"t5", "mt5", "umt5"}; // enum sy_family

static const char *const sentinels_names[] = {"unsaid", "top", "byt5", "transformers"};

const char *sy_router_name(enum sy_router router)
{
    return (size_t)router < SY_COUNT(router_names) ? router_names[router] : "unknown router";
}

const char *sy_exploration_name(enum sy_exploration exploration)
{
    return (size_t)exploration < SY_COUNT(exploration_names) ? exploration_names[exploration] : "unknown exploration";
}

const char *sy_sentinels_name(enum sy_sentinels sentinels)
{
    return (size_t)sentinels < SY_COUNT(sentinels_names) ? sentinels_names[sentinels] : "unknown sentinels";
}

// ---- the table of plain keys ----------------------------------------------------------------------------------------

#define AT(field) offsetof(struct sy_config, field)
const struct sy_config_field sy_config_fields[] = {
    {"vocab_size", SY_CONFIG_U32, SY_CONFIG_REQUIRED, AT(vocab_size), 2, MAX_SIDE},
    {"d_model", SY_CONFIG_U32, SY_CONFIG_REQUIRED, AT(d_model), 1, MAX_SIDE},
    {"d_kv", SY_CONFIG_U32, SY_CONFIG_REQUIRED, AT(d_kv), 1, MAX_SIDE},
    {"d_ff", SY_CONFIG_U32, SY_CONFIG_REQUIRED, AT(d_ff), 1, MAX_SIDE},
    {"num_layers", SY_CONFIG_U32, SY_CONFIG_REQUIRED, AT(layers), 1, MAX_LAYERS},
    {"num_decoder_layers", SY_CONFIG_U32, 0, AT(decoder_layers), 1, MAX_LAYERS},
    {"num_heads", SY_CONFIG_U32, SY_CONFIG_REQUIRED, AT(heads), 1, MAX_COUNT},
    {"relative_attention_num_buckets", SY_CONFIG_U32, 0, AT(buckets), 4, MAX_COUNT},
    {"relative_attention_max_distance", SY_CONFIG_U32, 0, AT(max_distance), 2, MAX_SIDE},
    {"dropout_rate", SY_CONFIG_REAL, SY_CONFIG_OPEN_HIGH, AT(dropout), 0, 1},
    {"layer_norm_epsilon", SY_CONFIG_REAL, SY_CONFIG_OPEN_LOW, AT(layer_norm_eps), 0, 1},
    {"initializer_factor", SY_CONFIG_REAL, SY_CONFIG_OPEN_LOW, AT(initializer_factor), 0, BIG},
    {"tie_word_embeddings", SY_CONFIG_BOOL, 0, AT(tied), 0, 1},
    {"pad_token_id", SY_CONFIG_U32, 0, AT(pad_id), 0, MAX_SIDE},
    {"eos_token_id", SY_CONFIG_U32, 0, AT(eos_id), 0, MAX_SIDE},
    {"decoder_start_token_id", SY_CONFIG_U32, 0, AT(start_id), 0, MAX_SIDE},
    {"num_experts", SY_CONFIG_U32, SY_CONFIG_SWITCH | SY_CONFIG_REQUIRED, AT(experts), 1, MAX_COUNT},
    {"num_sparse_encoder_layers", SY_CONFIG_U32, SY_CONFIG_SWITCH, AT(sparse_encoder_layers), 0, MAX_LAYERS},
    {"num_sparse_decoder_layers", SY_CONFIG_U32, SY_CONFIG_SWITCH, AT(sparse_decoder_layers), 0, MAX_LAYERS},
    {"router_jitter_noise", SY_CONFIG_REAL, SY_CONFIG_SWITCH | SY_CONFIG_OPEN_HIGH, AT(jitter), 0, 1},
    {"router_z_loss_coef", SY_CONFIG_REAL, SY_CONFIG_SWITCH, AT(z_loss_coef), 0, BIG},
    {"router_aux_loss_coef", SY_CONFIG_REAL, SY_CONFIG_SWITCH, AT(aux_coef), 0, BIG},
    {"add_router_probs", SY_CONFIG_BOOL, SY_CONFIG_SWITCH, AT(add_router_probs), 0, 1},
    {"group_tokens", SY_CONFIG_U32, SY_CONFIG_SWITCH | SY_CONFIG_OURS, AT(group_tokens), 0, 2147483647.0},
    {"capacity_factor_train", SY_CONFIG_REAL, SY_CONFIG_SWITCH | SY_CONFIG_OURS, AT(capacity_factor_train), 0, BIG},
    {"capacity_factor_eval", SY_CONFIG_REAL, SY_CONFIG_SWITCH | SY_CONFIG_OURS, AT(capacity_factor_eval), 0, BIG},
    {"min_expert_capacity", SY_CONFIG_U32, SY_CONFIG_SWITCH | SY_CONFIG_OURS, AT(min_expert_capacity), 1, 2147483647.0},
    {"ntlb_top_k", SY_CONFIG_U32, SY_CONFIG_SWITCH | SY_CONFIG_OURS, AT(ntlb_top_k), 1, MAX_COUNT},
    {"expert_dropout_rate", SY_CONFIG_REAL, SY_CONFIG_SWITCH | SY_CONFIG_OURS | SY_CONFIG_OPEN_HIGH, AT(expert_dropout),
     0, 1},
    {"input_dropout_rate", SY_CONFIG_REAL, SY_CONFIG_SWITCH | SY_CONFIG_OURS | SY_CONFIG_OPEN_HIGH,
     AT(input_dropout_rate), 0, 1},
    {"switch_attention", SY_CONFIG_BOOL, SY_CONFIG_SWITCH | SY_CONFIG_OURS, AT(switch_attention), 0, 1},
    {"init_scale", SY_CONFIG_REAL, SY_CONFIG_OURS | SY_CONFIG_OPEN_LOW, AT(init_scale), 0, BIG},
    {"z_loss", SY_CONFIG_REAL, SY_CONFIG_OURS, AT(z_loss), 0, BIG},
    {"label_smoothing", SY_CONFIG_REAL, SY_CONFIG_OURS | SY_CONFIG_OPEN_HIGH, AT(label_smoothing), 0, 1},
};
const size_t sy_config_field_count = SY_COUNT(sy_config_fields);

// Ours that the table cannot express.
static const char *const special_ours[] = {"router", "exploration", "sentinels"};

double sy_config_field_get(const struct sy_config *config, const struct sy_config_field *key)
{
    const char *at = (const char *)config + key->offset;
    switch (key->kind) {
    case SY_CONFIG_U32: return *(const uint32_t *)(const void *)at;
    case SY_CONFIG_BOOL: return *(const bool *)(const void *)at;
    case SY_CONFIG_REAL: break;
    }
    return *(const double *)(const void *)at;
}

void sy_config_defaults(bool is_switch, struct sy_config *out_config)
{
    *out_config = (struct sy_config){
        .is_switch = is_switch,
        .vocab_size = 32128,
        .d_model = is_switch ? 768 : 512,
        .d_kv = 64,
        .d_ff = 2048,
        .heads = is_switch ? 12 : 8,
        .layers = is_switch ? 12 : 6,
        .decoder_layers = is_switch ? 12 : 6,
        .buckets = 32,
        .max_distance = 128,
        .tied = true,
        .scale_decoder_outputs = SY_ABSENT,
        .eos_id = 1,
        .dropout = 0.1,
        .layer_norm_eps = 1e-6,
        .initializer_factor = 1.0,
        .experts = is_switch ? 8 : 0,
        .sparse_encoder_layers = is_switch ? 3 : 0,
        .sparse_decoder_layers = is_switch ? 3 : 0,
        .expert_capacity = -1,
        .jitter = is_switch ? 0.01 : 0.0,
        .z_loss_coef = is_switch ? 0.001 : 0.0,
        .aux_coef = is_switch ? 0.001 : 0.0,
        .exploration = is_switch ? SY_EXPLORE_INPUT_JITTER : SY_EXPLORE_ARGMAX,
        .capacity_factor_train = NAN,
        .capacity_factor_eval = NAN,
        .min_expert_capacity = 4,
        .ntlb_top_k = 4,
        .expert_dropout = 0.1,
        .input_dropout_rate = 0.1,
        .init_scale = 0.1,
    };
}

// ---- reading --------------------------------------------------------------------------------------------------------

const json_t *sy_config_key(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

enum sy_status sy_config_wrong(struct sy_ctx *ctx, const char *name, const char *key, const json_t *found,
                               const char *expected)
{
    char *text = json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT);
    enum sy_status status = sy_fail(ctx, SY_FORMAT, "%s: %s is %.60s, expected %s", name, key,
                                    text != NULL ? text : "unprintable", expected);
    free(text);
    return status;
}

static enum sy_status read_key(struct sy_ctx *ctx, const json_t *object, const char *name,
                               const struct sy_config_field *key, struct sy_config *config)
{
    const json_t *value = sy_config_key(object, key->name);
    char *at = (char *)config + key->offset;
    if (value == NULL) {
        if (key->flags & SY_CONFIG_REQUIRED)
            return sy_fail(ctx, SY_FORMAT, "%s: the key %s is missing; a model cannot be built without it", name,
                           key->name);
        return SY_OK;
    }
    switch (key->kind) {
    case SY_CONFIG_U32:
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > UINT32_MAX)
            return sy_config_wrong(ctx, name, key->name, value, "a whole number in range");
        *(uint32_t *)(void *)at = (uint32_t)json_integer_value(value);
        break;
    case SY_CONFIG_REAL:
        if (!json_is_number(value))
            return sy_config_wrong(ctx, name, key->name, value, "a number");
        *(double *)(void *)at = json_number_value(value);
        break;
    case SY_CONFIG_BOOL:
        if (!json_is_boolean(value))
            return sy_config_wrong(ctx, name, key->name, value, "true or false");
        *(bool *)(void *)at = json_is_true(value);
        break;
    }
    return SY_OK;
}

enum sy_status sy_config_maybe(struct sy_ctx *ctx, const json_t *object, const char *name, const char *key,
                               enum sy_maybe *out)
{
    const json_t *value = sy_config_key(object, key);
    if (value != NULL && !json_is_boolean(value))
        return sy_config_wrong(ctx, name, key, value, "true or false");
    *out = value == NULL ? SY_ABSENT : json_is_true(value) ? SY_YES : SY_NO;
    return SY_OK;
}

static enum sy_status read_choice(struct sy_ctx *ctx, const json_t *object, const char *name, const char *key,
                                  const char *const *choices, size_t count, const char *expected, int *out)
{
    const json_t *value = sy_config_key(object, key);
    if (value == NULL)
        return SY_OK;
    for (size_t i = 0; i < count; ++i)
        if (json_is_string(value) && strcmp(json_string_value(value), choices[i]) == 0) {
            *out = (int)i;
            return SY_OK;
        }
    return sy_config_wrong(ctx, name, key, value, expected);
}

static enum sy_status read_capacity(struct sy_ctx *ctx, const json_t *root, const char *name, struct sy_config *config)
{
    const json_t *value = sy_config_key(root, "expert_capacity");
    if (value == NULL)
        return SY_OK;
    json_int_t capacity = json_is_integer(value) ? json_integer_value(value) : -1;
    if (capacity < 1 || capacity > INT32_MAX)
        return sy_config_wrong(ctx, name, "expert_capacity", value, "a whole number from 1");
    config->expert_capacity = capacity;
    return SY_OK;
}

static enum sy_status read_ours(struct sy_ctx *ctx, const json_t *ours, const char *name, struct sy_config *config)
{
    int router = SY_ROUTER_SWITCH, exploration = config->jitter > 0 ? SY_EXPLORE_INPUT_JITTER : SY_EXPLORE_ARGMAX;
    config->expert_dropout = config->dropout;
    if (ours != NULL && config->is_switch) {
        SY_TRY(read_choice(ctx, ours, name, "router", router_names, SY_COUNT(router_names),
                           "\"switch\", \"top2\", \"expert_choice\" or \"ntlb\"", &router));
        SY_TRY(read_choice(ctx, ours, name, "exploration", exploration_names, SY_COUNT(exploration_names),
                           "\"argmax\", \"sample\", \"input_dropout\" or \"input_jitter\"", &exploration));
    }
    int sentinels = -1;
    if (ours != NULL)
        SY_TRY(read_choice(ctx, ours, name, "sentinels", sentinels_names + 1, SY_COUNT(sentinels_names) - 1,
                           "\"top\", \"byt5\" or \"transformers\"", &sentinels));
    config->sentinels = (enum sy_sentinels)(sentinels + 1);
    config->router = (enum sy_router)router;
    config->exploration = (enum sy_exploration)exploration;
    for (size_t i = 0; ours != NULL && i < sy_config_field_count; ++i)
        if ((sy_config_fields[i].flags & SY_CONFIG_OURS) &&
            (config->is_switch || !(sy_config_fields[i].flags & SY_CONFIG_SWITCH)))
            SY_TRY(read_key(ctx, ours, name, &sy_config_fields[i], config));
    return SY_OK;
}

// A misspelt key of ours would silently do nothing.
static void warn_unknown_ours(struct sy_ctx *ctx, const json_t *ours, const char *name)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)ours, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < sy_config_field_count; ++i)
            known =
                known || ((sy_config_fields[i].flags & SY_CONFIG_OURS) && strcmp(key, sy_config_fields[i].name) == 0);
        for (size_t i = 0; i < SY_COUNT(special_ours); ++i)
            known = known || strcmp(key, special_ours[i]) == 0;
        if (!known)
            sy_log(ctx, SY_LOG_WARN, "%s: switchyard.%.60s is unknown and has no effect; is it misspelt?", name, key);
    }
}

// What the file asks for and we do not do.
static enum sy_status refuse_foreign(struct sy_ctx *ctx, const json_t *root, const char *name, bool is_switch)
{
    enum sy_maybe bias = SY_ABSENT, pair = SY_ABSENT, sparse;
    SY_TRY(sy_config_maybe(ctx, root, name, "router_bias", &bias));
    SY_TRY(sy_config_maybe(ctx, root, name, "is_encoder_decoder", &pair));
    sparse = SY_NO;
    if (!is_switch && (json_integer_value(sy_config_key(root, "num_sparse_encoder_layers")) > 0 ||
                       json_integer_value(sy_config_key(root, "num_sparse_decoder_layers")) > 0))
        sparse = SY_YES;
    if (bias == SY_YES)
        return sy_fail(ctx, SY_UNSUPPORTED, "%s: router_bias is true; routers with a bias are not supported", name);
    if (pair == SY_NO)
        return sy_fail(ctx, SY_UNSUPPORTED, "%s: is_encoder_decoder is false; only encoder-decoders are supported",
                       name);
    if (sparse == SY_YES)
        return sy_fail(ctx, SY_FORMAT,
                       "%s: model_type is \"t5\" but num_sparse_*_layers is not 0: they contradict; "
                       "a sparse model is \"switch_transformers\"",
                       name);
    const char *dtype = json_string_value(sy_config_key(root, "router_dtype"));
    if (dtype != NULL && strcmp(dtype, "float32") != 0)
        sy_log(ctx, SY_LOG_WARN, "%s: router_dtype is \"%.20s\"; routers compute in float32 all the same", name, dtype);
    return SY_OK;
}

/// Without sparse layers any step will do: Hugging Face writes the number of layers then.
static enum sy_status check_steps(struct sy_ctx *ctx, const json_t *root, const char *name, const struct sy_config *c)
{
    for (int decoder = 0; decoder < 2; ++decoder) {
        const json_t *value = sy_config_key(root, sy_config_step_keys[decoder]);
        const uint32_t step = sy_config_sparse_step(c, decoder);
        if (value != NULL && step > 0 && json_integer_value(value) != step)
            return sy_fail(ctx, SY_FORMAT,
                           "%s: %s is %lld but num_sparse_%s_layers makes it %u: they contradict; Hugging Face would "
                           "follow the first",
                           name, sy_config_step_keys[decoder], (long long)json_integer_value(value),
                           decoder ? "decoder" : "encoder", step);
    }
    return SY_OK;
}

#define TYPES "\"switch_transformers\", \"t5\", \"mt5\" or \"umt5\""

/// These relatives of T5 differ in more than the name.
static enum sy_status refuse_relative(struct sy_ctx *ctx, const char *name, const char *type)
{
    static const struct {
        const char *type, *why;
    } relatives[] = {
        {"longt5", "its encoder attends locally or through global summaries, which is not supported"},
        {"pop2piano", "it takes spectrograms for text, which is not supported"},
    };
    for (size_t i = 0; type != NULL && i < SY_COUNT(relatives); ++i)
        if (strcmp(type, relatives[i].type) == 0)
            return sy_fail(ctx, SY_UNSUPPORTED, "%s: model_type is \"%s\": %s; expected " TYPES, name, type,
                           relatives[i].why);
    return SY_OK;
}

static enum sy_status read_root(struct sy_ctx *ctx, const json_t *root, const char *name, struct sy_config *config)
{
    const json_t *type = sy_config_key(root, "model_type");
    const char *text = json_string_value(type);
    if (type == NULL)
        return sy_fail(ctx, SY_FORMAT, "%s: the key model_type is missing, expected " TYPES, name);
    bool is_switch = text != NULL && strcmp(text, "switch_transformers") == 0;
    size_t family = 0;
    while (text != NULL && family < SY_COUNT(sy_config_families) && strcmp(text, sy_config_families[family]) != 0)
        ++family;
    SY_TRY(refuse_relative(ctx, name, text));
    if (!is_switch && (text == NULL || family == SY_COUNT(sy_config_families)))
        return sy_config_wrong(ctx, name, "model_type", type, TYPES);
    sy_config_defaults(is_switch, config);
    config->family = is_switch ? SY_FAMILY_T5 : (enum sy_family)family;
    config->tied = config->family != SY_FAMILY_MT5; // where the key is absent
    for (size_t i = 0; i < sy_config_field_count; ++i)
        if (!(sy_config_fields[i].flags & SY_CONFIG_OURS) &&
            (is_switch || !(sy_config_fields[i].flags & SY_CONFIG_SWITCH)))
            SY_TRY(read_key(ctx, root, name, &sy_config_fields[i], config));
    // Hugging Face: null, or absent from a T5, is num_layers; a Switch config leaves out what equals its default, 12.
    if (sy_config_key(root, "num_decoder_layers") == NULL &&
        !(is_switch && json_object_get(root, "num_decoder_layers") == NULL))
        config->decoder_layers = config->layers;
    SY_TRY(sy_config_read_activation(ctx, root, name, config));
    SY_TRY(sy_config_maybe(ctx, root, name, "scale_decoder_outputs", &config->scale_decoder_outputs));
    if (is_switch)
        SY_TRY(read_capacity(ctx, root, name, config));
    const json_t *ours = sy_config_key(root, "switchyard");
    if (ours != NULL && !json_is_object(ours))
        return sy_config_wrong(ctx, name, "switchyard", ours, "an object {…}");
    SY_TRY(read_ours(ctx, ours, name, config));
    warn_unknown_ours(ctx, ours, name);
    SY_TRY(refuse_foreign(ctx, root, name, is_switch));
    SY_TRY(sy_config_check(ctx, config, name));
    return is_switch ? check_steps(ctx, root, name, config) : SY_OK;
}

enum sy_status sy_config_parse(struct sy_ctx *ctx, const char *text, size_t bytes, const char *name,
                               struct sy_config *out_config)
{
    json_t *root;
    struct sy_config config;
    SY_TRY(sy_json_parse(ctx, text, bytes, name, &root));
    enum sy_status status = read_root(ctx, root, name, &config);
    if (status != SY_OK) {
        json_decref(root);
        return status;
    }
    config.extra = root;
    *out_config = config;
    return SY_OK;
}

/// How a model decodes is kept through training, beams and all.
static enum sy_status load_generation(struct sy_ctx *ctx, const char *path, struct sy_config *config)
{
    json_t *root = NULL;
    char *file = sy_path_join(path, "generation_config.json");
    enum sy_status status = file == NULL           ? sy_fail(ctx, SY_NOMEM, "%s: out of memory for the path", path)
                            : sy_file_exists(file) ? sy_json_load(ctx, file, &root)
                                                   : SY_OK;
    config->generation = root;
    free(file);
    return status;
}

enum sy_status sy_config_load(struct sy_ctx *ctx, const char *path, struct sy_config *out_config)
{
    char *file = sy_dir_exists(path) ? sy_path_join(path, "config.json") : strdup(path);
    if (file == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory for the path", path);
    char *text;
    size_t bytes;
    enum sy_status status = sy_file_read(ctx, file, 16u << 20, &text, &bytes);
    if (status == SY_OK) {
        status = sy_config_parse(ctx, text, bytes, file, out_config);
        free(text);
    }
    free(file);
    if (status == SY_OK && sy_dir_exists(path) && (status = load_generation(ctx, path, out_config)) != SY_OK)
        sy_config_finish(out_config);
    return status;
}

// ---- copying, comparing ---------------------------------------------------------------------------------------------

enum sy_status sy_config_copy(struct sy_ctx *ctx, const struct sy_config *config, struct sy_config *out_config)
{
    struct sy_config copy = *config;
    if (config->extra != NULL && (copy.extra = json_deep_copy(config->extra)) == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of memory for a copy of a model's config");
    copy.generation = json_incref(config->generation); // nobody changes it
    *out_config = copy;
    return SY_OK;
}

void sy_config_finish(struct sy_config *config)
{
    json_decref(config->extra);
    json_decref(config->generation);
    *config = (struct sy_config){0};
}

const char *sy_config_difference(const struct sy_config *a, const struct sy_config *b)
{
    if (a->is_switch != b->is_switch || a->family != b->family)
        return "model_type";
    for (size_t i = 0; i < sy_config_field_count; ++i) {
        double x = sy_config_field_get(a, &sy_config_fields[i]), y = sy_config_field_get(b, &sy_config_fields[i]);
        if (x != y && !(isnan(x) && isnan(y)))
            return sy_config_fields[i].name;
    }
    return a->gated != b->gated || a->activation != b->activation ? "feed_forward_proj"
           : a->expert_capacity != b->expert_capacity             ? "expert_capacity"
           : a->scale_decoder_outputs != b->scale_decoder_outputs ? "scale_decoder_outputs"
           : a->router != b->router                               ? "router"
           : a->exploration != b->exploration                     ? "exploration"
           : a->sentinels != SY_SENTINELS_UNSAID && b->sentinels != SY_SENTINELS_UNSAID && a->sentinels != b->sentinels
               ? "sentinels"
               : NULL;
}

// ---- derived --------------------------------------------------------------------------------------------------------

bool sy_config_sparse(const struct sy_config *config, bool decoder, uint32_t layer)
{
    uint32_t layers = decoder ? config->decoder_layers : config->layers;
    uint32_t sparse = decoder ? config->sparse_decoder_layers : config->sparse_encoder_layers;
    if (!config->is_switch || sparse == 0 || layer >= layers)
        return false;
    uint32_t step = layers / sparse;
    return step > 1 ? layer % step == 1 : step == 1;
}

uint32_t sy_config_capacity(const struct sy_config *config, bool train, uint32_t group)
{
    double factor = train ? config->capacity_factor_train : config->capacity_factor_eval;
    if (isnan(factor))
        return config->expert_capacity > 0 ? (uint32_t)config->expert_capacity : group;
    if (factor == 0 || config->experts == 0)
        return group;
    double fit = floor(group * factor / config->experts);
    uint32_t capacity = fit < group ? (uint32_t)fit : group;
    return capacity > config->min_expert_capacity ? capacity : config->min_expert_capacity;
}

bool sy_config_scales_output(const struct sy_config *config)
{
    if (config->scale_decoder_outputs != SY_ABSENT)
        return config->scale_decoder_outputs == SY_YES;
    return config->tied && config->family != SY_FAMILY_MT5;
}

uint32_t sy_config_sparse_step(const struct sy_config *c, bool decoder)
{
    const uint32_t layers = decoder ? c->decoder_layers : c->layers;
    const uint32_t sparse = decoder ? c->sparse_decoder_layers : c->sparse_encoder_layers;
    return sparse > 0 ? layers / sparse : 0;
}

const char *const sy_config_step_keys[2] = {"encoder_sparse_step", "decoder_sparse_step"};
