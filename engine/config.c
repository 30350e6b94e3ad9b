// SPDX-License-Identifier: Apache-2.0
// config.c: config.json to struct sy_config and back. One table lists the plain keys; the rest is below it.
#include "engine/config_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/json.h"

#define MAX_SIDE 16777216.0 // of a matrix, a vocabulary, a sequence: 2^24
#define MAX_COUNT 65536.0
#define MAX_LAYERS 512.0          // of a stack; planning time grows with the square
#define MAX_ELEMENTS (1ull << 31) // one matrix
#define BIG 1e6

static const char *const router_names[] = {"switch", "top2", "expert_choice", "ntlb"};
static const char *const exploration_names[] = {"argmax", "sample", "input_dropout", "input_jitter"};

static const char *const family_names[] = {"t5", "mt5", "umt5"}; // enum sy_family

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

enum kind { KIND_U32, KIND_REAL, KIND_BOOL };
enum {
    REQUIRED = 1, // the model cannot be without
    SWITCH = 2,   // only for switch_transformers
    OURS = 4,     // inside "switchyard"; written only when it differs from the default
    OPEN_LOW = 8, // min itself is not allowed
    OPEN_HIGH = 16,
};

struct key {
    const char *name;
    enum kind kind;
    uint32_t flags;
    size_t offset;
    double min, max;
};

#define AT(field) offsetof(struct sy_config, field)
static const struct key keys[] = {
    {"vocab_size", KIND_U32, REQUIRED, AT(vocab_size), 2, MAX_SIDE},
    {"d_model", KIND_U32, REQUIRED, AT(d_model), 1, MAX_SIDE},
    {"d_kv", KIND_U32, REQUIRED, AT(d_kv), 1, MAX_SIDE},
    {"d_ff", KIND_U32, REQUIRED, AT(d_ff), 1, MAX_SIDE},
    {"num_layers", KIND_U32, REQUIRED, AT(layers), 1, MAX_LAYERS},
    {"num_decoder_layers", KIND_U32, 0, AT(decoder_layers), 1, MAX_LAYERS},
    {"num_heads", KIND_U32, REQUIRED, AT(heads), 1, MAX_COUNT},
    {"relative_attention_num_buckets", KIND_U32, 0, AT(buckets), 4, MAX_COUNT},
    {"relative_attention_max_distance", KIND_U32, 0, AT(max_distance), 2, MAX_SIDE},
    {"dropout_rate", KIND_REAL, OPEN_HIGH, AT(dropout), 0, 1},
    {"layer_norm_epsilon", KIND_REAL, OPEN_LOW, AT(layer_norm_eps), 0, 1},
    {"initializer_factor", KIND_REAL, OPEN_LOW, AT(initializer_factor), 0, BIG},
    {"tie_word_embeddings", KIND_BOOL, 0, AT(tied), 0, 1},
    {"pad_token_id", KIND_U32, 0, AT(pad_id), 0, MAX_SIDE},
    {"eos_token_id", KIND_U32, 0, AT(eos_id), 0, MAX_SIDE},
    {"decoder_start_token_id", KIND_U32, 0, AT(start_id), 0, MAX_SIDE},
    {"num_experts", KIND_U32, SWITCH | REQUIRED, AT(experts), 1, MAX_COUNT},
    {"num_sparse_encoder_layers", KIND_U32, SWITCH, AT(sparse_encoder_layers), 0, MAX_LAYERS},
    {"num_sparse_decoder_layers", KIND_U32, SWITCH, AT(sparse_decoder_layers), 0, MAX_LAYERS},
    {"router_jitter_noise", KIND_REAL, SWITCH | OPEN_HIGH, AT(jitter), 0, 1},
    {"router_z_loss_coef", KIND_REAL, SWITCH, AT(z_loss_coef), 0, BIG},
    {"router_aux_loss_coef", KIND_REAL, SWITCH, AT(aux_coef), 0, BIG},
    {"add_router_probs", KIND_BOOL, SWITCH, AT(add_router_probs), 0, 1},
    {"group_tokens", KIND_U32, SWITCH | OURS, AT(group_tokens), 0, 2147483647.0},
    {"capacity_factor_train", KIND_REAL, SWITCH | OURS, AT(capacity_factor_train), 0, BIG},
    {"capacity_factor_eval", KIND_REAL, SWITCH | OURS, AT(capacity_factor_eval), 0, BIG},
    {"min_expert_capacity", KIND_U32, SWITCH | OURS, AT(min_expert_capacity), 1, 2147483647.0},
    {"ntlb_top_k", KIND_U32, SWITCH | OURS, AT(ntlb_top_k), 1, MAX_COUNT},
    {"expert_dropout_rate", KIND_REAL, SWITCH | OURS | OPEN_HIGH, AT(expert_dropout), 0, 1},
    {"input_dropout_rate", KIND_REAL, SWITCH | OURS | OPEN_HIGH, AT(input_dropout_rate), 0, 1},
    {"switch_attention", KIND_BOOL, SWITCH | OURS, AT(switch_attention), 0, 1},
    {"init_scale", KIND_REAL, OURS | OPEN_LOW, AT(init_scale), 0, BIG},
    {"z_loss", KIND_REAL, OURS, AT(z_loss), 0, BIG},
    {"label_smoothing", KIND_REAL, OURS | OPEN_HIGH, AT(label_smoothing), 0, 1},
};

// Ours that the table cannot express.
static const char *const special_ours[] = {"router", "exploration", "sentinels"};

static double field_get(const struct sy_config *config, const struct key *key)
{
    const char *at = (const char *)config + key->offset;
    switch (key->kind) {
    case KIND_U32: return *(const uint32_t *)(const void *)at;
    case KIND_BOOL: return *(const bool *)(const void *)at;
    case KIND_REAL: break;
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

static enum sy_status read_key(struct sy_ctx *ctx, const json_t *object, const char *name, const struct key *key,
                               struct sy_config *config)
{
    const json_t *value = sy_config_key(object, key->name);
    char *at = (char *)config + key->offset;
    if (value == NULL) {
        if (key->flags & REQUIRED)
            return sy_fail(ctx, SY_FORMAT, "%s: the key %s is missing; a model cannot be built without it", name,
                           key->name);
        return SY_OK;
    }
    switch (key->kind) {
    case KIND_U32:
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > UINT32_MAX)
            return sy_config_wrong(ctx, name, key->name, value, "a whole number in range");
        *(uint32_t *)(void *)at = (uint32_t)json_integer_value(value);
        break;
    case KIND_REAL:
        if (!json_is_number(value))
            return sy_config_wrong(ctx, name, key->name, value, "a number");
        *(double *)(void *)at = json_number_value(value);
        break;
    case KIND_BOOL:
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
    for (size_t i = 0; ours != NULL && i < SY_COUNT(keys); ++i)
        if ((keys[i].flags & OURS) && (config->is_switch || !(keys[i].flags & SWITCH)))
            SY_TRY(read_key(ctx, ours, name, &keys[i], config));
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
        for (size_t i = 0; i < SY_COUNT(keys); ++i)
            known = known || ((keys[i].flags & OURS) && strcmp(key, keys[i].name) == 0);
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

// Hugging Face derives encoder_sparse_step and decoder_sparse_step from the counts, but believes a file that has them.
static uint32_t sparse_step(const struct sy_config *c, bool decoder)
{
    const uint32_t layers = decoder ? c->decoder_layers : c->layers;
    const uint32_t sparse = decoder ? c->sparse_decoder_layers : c->sparse_encoder_layers;
    return sparse > 0 ? layers / sparse : 0;
}

static const char *const step_keys[] = {"encoder_sparse_step", "decoder_sparse_step"};

/// Without sparse layers any step will do: Hugging Face writes the number of layers then.
static enum sy_status check_steps(struct sy_ctx *ctx, const json_t *root, const char *name, const struct sy_config *c)
{
    for (int decoder = 0; decoder < 2; ++decoder) {
        const json_t *value = sy_config_key(root, step_keys[decoder]);
        const uint32_t step = sparse_step(c, decoder);
        if (value != NULL && step > 0 && json_integer_value(value) != step)
            return sy_fail(ctx, SY_FORMAT,
                           "%s: %s is %lld but num_sparse_%s_layers makes it %u: they contradict; Hugging Face would "
                           "follow the first",
                           name, step_keys[decoder], (long long)json_integer_value(value),
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
    while (text != NULL && family < SY_COUNT(family_names) && strcmp(text, family_names[family]) != 0)
        ++family;
    SY_TRY(refuse_relative(ctx, name, text));
    if (!is_switch && (text == NULL || family == SY_COUNT(family_names)))
        return sy_config_wrong(ctx, name, "model_type", type, TYPES);
    sy_config_defaults(is_switch, config);
    config->family = is_switch ? SY_FAMILY_T5 : (enum sy_family)family;
    config->tied = config->family != SY_FAMILY_MT5; // where the key is absent
    for (size_t i = 0; i < SY_COUNT(keys); ++i)
        if (!(keys[i].flags & OURS) && (is_switch || !(keys[i].flags & SWITCH)))
            SY_TRY(read_key(ctx, root, name, &keys[i], config));
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
    return status;
}

// ---- checking -------------------------------------------------------------------------------------------------------

static enum sy_status check_range(struct sy_ctx *ctx, const struct sy_config *config, const struct key *key,
                                  const char *name)
{
    double value = field_get(config, key);
    bool factor = key->offset == AT(capacity_factor_train) || key->offset == AT(capacity_factor_eval);
    if (isnan(value) && factor)
        return SY_OK;
    bool low = key->flags & OPEN_LOW ? value > key->min : value >= key->min;
    bool high = key->flags & OPEN_HIGH ? value < key->max : value <= key->max;
    if (low && high)
        return SY_OK;
    return sy_fail(ctx, SY_FORMAT, "%s: %s is %.17g, expected %s %.9g and %s %.9g", name, key->name, value,
                   key->flags & OPEN_LOW ? "above" : "at least", key->min, key->flags & OPEN_HIGH ? "below" : "at most",
                   key->max);
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
    for (size_t i = 0; i < SY_COUNT(keys); ++i)
        if (config->is_switch || !(keys[i].flags & SWITCH))
            SY_TRY(check_range(ctx, config, &keys[i], name));
    SY_TRY(check_matrix(ctx, name, "vocab_size and d_model", config->vocab_size, config->d_model, 1));
    SY_TRY(check_matrix(ctx, name, "num_heads, d_kv and d_model", config->heads, config->d_kv, config->d_model));
    SY_TRY(check_matrix(ctx, name, "d_ff and d_model", config->d_ff, config->d_model, 1));
    SY_TRY(check_matrix(ctx, name, "num_heads and relative_attention_num_buckets", config->heads, config->buckets, 1));
    SY_TRY(check_ids(ctx, config, name));
    if (config->is_switch && config->family != SY_FAMILY_T5)
        return sy_fail(ctx, SY_UNSUPPORTED, "%s: a sparse model of the family %s is not supported, only one of t5",
                       name, family_names[config->family]);
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

// ---- writing --------------------------------------------------------------------------------------------------------

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
static int put_key(json_t *object, const struct key *key, double value)
{
    const json_t *old = json_object_get(object, key->name);
    if (isnan(value))
        return json_object_del(object, key->name), 0;
    if (key->kind == KIND_BOOL)
        return sy_config_put(object, key->name, json_boolean(value != 0));
    if (json_is_number(old) && json_number_value(old) == value)
        return 0;
    return sy_config_put(object, key->name, key->kind == KIND_U32 ? json_integer((json_int_t)value) : json_real(value));
}

static const char *type_name(const struct sy_config *config)
{
    return config->is_switch ? "switch_transformers" : family_names[config->family];
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
    for (size_t i = 0; old != NULL && !config->is_switch && i < SY_COUNT(keys); ++i)
        if ((keys[i].flags & (SWITCH | OURS)) == SWITCH) // a dense model made from a sparse one's config
            json_object_del(root, keys[i].name);
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
    for (size_t i = 0; i < SY_COUNT(keys); ++i) {
        double value = field_get(config, &keys[i]), usual = field_get(&defaults, &keys[i]);
        bool same = value == usual || (isnan(value) && isnan(usual));
        if ((keys[i].flags & OURS) && (config->is_switch || !(keys[i].flags & SWITCH)) &&
            (!same || sy_config_key(object, keys[i].name) != NULL))
            bad |= put_key(object, &keys[i], value);
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
    for (size_t i = 0; i < SY_COUNT(keys); ++i)
        if (!(keys[i].flags & OURS) && (config->is_switch || !(keys[i].flags & SWITCH)))
            bad |= put_key(root, &keys[i], field_get(config, &keys[i]));
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
        if (config->is_switch && (sparse_step(config, decoder) == 0 || sy_config_key(root, step_keys[decoder]) != NULL))
            bad |= sy_config_put(root, step_keys[decoder], json_integer(sparse_step(config, decoder)));
        else if (!config->is_switch)
            json_object_del(root, step_keys[decoder]);
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
    json_t *root = json_pack("{s:I, s:I, s:I}", "decoder_start_token_id", (json_int_t)config->start_id, "eos_token_id",
                             (json_int_t)config->eos_id, "pad_token_id", (json_int_t)config->pad_id);
    enum sy_status status =
        root != NULL ? sy_json_save(ctx, root, path) : sy_fail(ctx, SY_NOMEM, "%s: out of memory for its JSON", path);
    json_decref(root);
    return status;
}

enum sy_status sy_config_copy(struct sy_ctx *ctx, const struct sy_config *config, struct sy_config *out_config)
{
    struct sy_config copy = *config;
    if (config->extra != NULL && (copy.extra = json_deep_copy(config->extra)) == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of memory for a copy of a model's config");
    *out_config = copy;
    return SY_OK;
}

void sy_config_finish(struct sy_config *config)
{
    json_decref(config->extra);
    *config = (struct sy_config){0};
}

const char *sy_config_difference(const struct sy_config *a, const struct sy_config *b)
{
    if (a->is_switch != b->is_switch || a->family != b->family)
        return "model_type";
    for (size_t i = 0; i < SY_COUNT(keys); ++i) {
        double x = field_get(a, &keys[i]), y = field_get(b, &keys[i]);
        if (x != y && !(isnan(x) && isnan(y)))
            return keys[i].name;
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
