// SPDX-License-Identifier: Apache-2.0
// config.c: tests of config.json: defaults, Hugging Face's spellings, contradictions, limits, writing back.
#include <math.h>

#include "engine/config.h"
#include "engine/file.h"
#include "engine/json.h"
#include "tests/io.h"

#define SIZES "\"vocab_size\":64,\"d_model\":24,\"d_kv\":8,\"d_ff\":40,\"num_layers\":4,\"num_heads\":3"
#define T5 "{\"model_type\":\"t5\"," SIZES
#define SWITCH "{\"model_type\":\"switch_transformers\"," SIZES ",\"num_experts\":4,\"num_sparse_encoder_layers\":2"

static enum sy_status parse(struct io *t, const char *text, struct sy_config *out)
{
    return sy_config_parse(t->ctx, text, strlen(text), "config.json", out);
}

static bool parses(struct io *t, const char *text, struct sy_config *out)
{
    sy_config_finish(out);
    return parse(t, text, out) == SY_OK;
}

static void test_defaults(struct io *t)
{
    struct sy_config c = {0};
    bool good = parses(t, T5 "}", &c) && !c.is_switch && c.decoder_layers == 4 && c.buckets == 32 &&
                c.max_distance == 128 && c.layer_norm_eps == 1e-6 && c.dropout == 0.1 && c.tied && !c.gated &&
                c.pad_id == 0 && c.eos_id == 1 && c.start_id == 0 && c.experts == 0 &&
                c.scale_decoder_outputs == SY_ABSENT && c.jitter == 0;
    io_check(t, good, "t5: absent keys take Hugging Face's defaults");
    good = parses(t, SWITCH "}", &c) && c.is_switch && c.aux_coef == 0.001 && c.z_loss_coef == 0.001 &&
           c.jitter == 0.01 && c.expert_capacity == -1 && isnan(c.capacity_factor_train) &&
           c.min_expert_capacity == 4 && c.ntlb_top_k == 4 && c.init_scale == 0.1 && c.router == SY_ROUTER_SWITCH &&
           c.exploration == SY_EXPLORE_INPUT_JITTER && c.expert_dropout == 0.1 && c.sparse_decoder_layers == 3 &&
           c.decoder_layers == 12 && !c.switch_attention;
    io_check(t, good, "switch: absent keys take Hugging Face's defaults");
    good = parses(t, SWITCH ",\"num_decoder_layers\":null,\"pad_token_id\":null,\"dropout_rate\":0}", &c) &&
           c.decoder_layers == 4 && c.dropout == 0 && c.expert_dropout == 0;
    io_check(t, good, "null is absent, 0 is a number, expert dropout follows dropout");
    good = parses(t,
                  SWITCH ",\"switchyard\":{\"router\":\"ntlb\",\"group_tokens\":10,\"capacity_factor_train\":1.25,"
                         "\"exploration\":\"sample\"}}",
                  &c);
    io_check(t, !good && strstr(sy_error(t->ctx), "needs router") != NULL, "sampling with another router");
    good = parses(t,
                  SWITCH ",\"switchyard\":{\"router\":\"top2\",\"group_tokens\":10,\"capacity_factor_train\":1.25,"
                         "\"expert_dropout_rate\":0.4,\"switch_attention\":true,\"z_loss\":1e-4}}",
                  &c) &&
           c.router == SY_ROUTER_TOP2 && c.group_tokens == 10 && c.capacity_factor_train == 1.25 &&
           c.expert_dropout == 0.4 && c.switch_attention && c.z_loss == 1e-4;
    io_check(t, good, "our own keys");
    unsigned before = t->warnings;
    good = parses(t, SWITCH ",\"switchyard\":{\"capacity_factor_trian\":1}}", &c) && t->warnings == before + 1;
    io_check(t, good, "a misspelt key of ours gets a warning");
    sy_config_finish(&c);
}

static void test_activation(struct io *t)
{
    static const struct {
        const char *keys;
        int gated; ///< −1: an error that contains `word`.
        const char *word;
        enum sy_activation activation;
    } cases[] = {
        {"", 0, "", SY_ACTIVATION_USUAL},
        {",\"feed_forward_proj\":\"relu\",\"dense_act_fn\":\"relu\",\"is_gated_act\":false", 0, "",
         SY_ACTIVATION_USUAL},
        {",\"feed_forward_proj\":\"gated-gelu\"", 1, "", SY_ACTIVATION_USUAL},
        {",\"feed_forward_proj\":\"gated-gelu\",\"dense_act_fn\":\"gelu_new\",\"is_gated_act\":true", 1, "",
         SY_ACTIVATION_USUAL},
        {",\"dense_act_fn\":\"gelu_new\",\"is_gated_act\":true", 1, "", SY_ACTIVATION_USUAL},
        {",\"dense_act_fn\":\"gated-gelu\"", 1, "", SY_ACTIVATION_USUAL},
        {",\"dense_act_fn\":\"gelu_new\"", 0, "", SY_ACTIVATION_GELU_NEW},
        {",\"feed_forward_proj\":\"gelu\"", 0, "", SY_ACTIVATION_GELU},
        {",\"feed_forward_proj\":\"gated-silu\"", 1, "", SY_ACTIVATION_SILU},
        {",\"feed_forward_proj\":\"gated-silu\",\"dense_act_fn\":\"silu\",\"is_gated_act\":true", 1, "",
         SY_ACTIVATION_SILU},
        {",\"feed_forward_proj\":\"swish\"", 0, "", SY_ACTIVATION_SILU},
        {",\"feed_forward_proj\":\"gated-gelu_pytorch_tanh\"", 1, "", SY_ACTIVATION_USUAL},
        {",\"feed_forward_proj\":\"gated-gelu_python\"", 1, "", SY_ACTIVATION_GELU},
        {",\"feed_forward_proj\":\"gated-quick_gelu\"", 1, "", SY_ACTIVATION_QUICK_GELU},
        {",\"feed_forward_proj\":\"gated-relu\"", 1, "", SY_ACTIVATION_RELU},
        {",\"feed_forward_proj\":\"gelu\",\"dense_act_fn\":\"gelu\",\"is_gated_act\":true", 1, "", SY_ACTIVATION_GELU},
        {",\"feed_forward_proj\":\"gated-gelu\",\"dense_act_fn\":\"gelu\"", 1, "", SY_ACTIVATION_GELU},
        {",\"feed_forward_proj\":\"gelu\",\"dense_act_fn\":\"gated-gelu\"", -1, "contradict", SY_ACTIVATION_USUAL},
        {",\"feed_forward_proj\":\"gated-gelu\",\"is_gated_act\":false", -1, "contradict", SY_ACTIVATION_USUAL},
        {",\"feed_forward_proj\":\"gated-mish\"", -1, "gated-mish", SY_ACTIVATION_USUAL},
        {",\"feed_forward_proj\":\"gated-\"", -1, "gated-", SY_ACTIVATION_USUAL},
        {",\"feed_forward_proj\":7", -1, "feed_forward_proj", SY_ACTIVATION_USUAL},
        {",\"feed_forward_proj\":\"relu\",\"is_gated_act\":true", -1, "contradict", SY_ACTIVATION_USUAL},
        {",\"feed_forward_proj\":\"gated-gelu\",\"dense_act_fn\":\"relu\"", -1, "contradict", SY_ACTIVATION_USUAL},
        {",\"dense_act_fn\":\"relu\",\"is_gated_act\":true", 1, "", SY_ACTIVATION_RELU},
    };
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        char text[512];
        struct sy_config c = {0};
        snprintf(text, sizeof text, T5 "%s}", cases[i].keys);
        bool good = parses(t, text, &c);
        good = cases[i].gated >= 0 ? good && c.gated == (cases[i].gated == 1) && c.activation == cases[i].activation
                                   : !good && strstr(sy_error(t->ctx), cases[i].word) != NULL;
        io_check(t, good, "activation {%s}: %s", cases[i].keys, cases[i].gated < 0 ? "refused" : "understood");
        sy_config_finish(&c);
    }
}

static void test_output_scale(struct io *t)
{
    struct sy_config c = {0};
    bool good = parses(t, T5 "}", &c) && sy_config_scales_output(&c);
    good = good && parses(t, T5 ",\"tie_word_embeddings\":false}", &c) && !sy_config_scales_output(&c);
    good = good && parses(t, T5 ",\"scale_decoder_outputs\":false}", &c) && !sy_config_scales_output(&c);
    good = good && parses(t, T5 ",\"tie_word_embeddings\":false,\"scale_decoder_outputs\":true}", &c) &&
           sy_config_scales_output(&c);
    io_check(t, good, "scale_decoder_outputs decides where present, else tying");
    sy_config_finish(&c);
}

static void test_errors(struct io *t)
{
    static const struct {
        const char *text;
        enum sy_status code;
        const char *word;
    } cases[] = {
        {"", SY_FORMAT, "not valid JSON"},
        {"[]", SY_FORMAT, "expected an object"},
        {"{}", SY_FORMAT, "model_type is missing"},
        {"{\"model_type\":\"bert\"}", SY_FORMAT, "\"bert\", expected \"switch_transformers\", \"t5\", "},
        {"{\"model_type\":\"longt5\"}", SY_UNSUPPORTED, "attends locally"},
        {"{\"model_type\":\"umt5x\"}", SY_FORMAT, "\"mt5\" or \"umt5\""},
        {T5 ",\"switchyard\":{\"sentinels\":\"bottom\"}}", SY_FORMAT, "sentinels is \"bottom\""},
        {"{\"model_type\":7}", SY_FORMAT, "model_type is 7"},
        {"{\"model_type\":\"t5\"}", SY_FORMAT, "vocab_size is missing"},
        {"{\"model_type\":\"switch_transformers\"," SIZES "}", SY_FORMAT, "num_experts is missing"},
        {T5 ",\"d_model\":1}", SY_FORMAT, "duplicate"},
        {T5 ",\"dropout_rate\":1}", SY_FORMAT, "dropout_rate is 1, expected at least 0 and below 1"},
        {T5 ",\"dropout_rate\":\"x\"}", SY_FORMAT, "dropout_rate is \"x\", expected a number"},
        {T5 ",\"layer_norm_epsilon\":0}", SY_FORMAT, "layer_norm_epsilon is 0"},
        {T5 ",\"num_decoder_layers\":0}", SY_FORMAT, "num_decoder_layers is 0"},
        {T5 ",\"num_decoder_layers\":2.0}", SY_FORMAT, "whole number"},
        {T5 ",\"num_decoder_layers\":-1}", SY_FORMAT, "num_decoder_layers is -1"},
        {T5 ",\"num_decoder_layers\":4294967297}", SY_FORMAT, "4294967297"},
        {T5 ",\"eos_token_id\":64}", SY_FORMAT, "eos_token_id is outside the vocabulary"},
        {T5 ",\"tie_word_embeddings\":1}", SY_FORMAT, "true or false"},
        {T5 ",\"relative_attention_max_distance\":16}", SY_FORMAT, "max_distance is 16"},
        {T5 ",\"is_encoder_decoder\":false}", SY_UNSUPPORTED, "is_encoder_decoder"},
        {T5 ",\"num_sparse_encoder_layers\":2}", SY_FORMAT, "contradict"},
        {T5 ",\"switchyard\":7}", SY_FORMAT, "switchyard is 7, expected an object"},
        {T5 ",\"switchyard\":{\"label_smoothing\":1}}", SY_FORMAT, "label_smoothing is 1"},
        {SWITCH ",\"router_bias\":true}", SY_UNSUPPORTED, "router_bias"},
        {SWITCH ",\"expert_capacity\":0}", SY_FORMAT, "expert_capacity is 0"},
        {SWITCH ",\"num_decoder_layers\":4,\"num_sparse_decoder_layers\":5}", SY_FORMAT,
         "num_sparse_decoder_layers is 5 but num_decoder_layers is 4"},
        {SWITCH ",\"encoder_sparse_step\":4}", SY_FORMAT,
         "encoder_sparse_step is 4 but num_sparse_encoder_layers makes it 2"},
        {SWITCH ",\"switchyard\":{\"router\":\"best\"}}", SY_FORMAT, "router is \"best\""},
        {SWITCH ",\"switchyard\":{\"capacity_factor_train\":-1}}", SY_FORMAT, "capacity_factor_train is -1"},
        {SWITCH ",\"switchyard\":{\"exploration\":\"input_jitter\"},\"router_jitter_noise\":0}", SY_FORMAT,
         "contradict"},
        {"{\"model_type\":\"t5\",\"vocab_size\":16777216,\"d_model\":16777216,\"d_kv\":1,\"d_ff\":1,\"num_layers\":1,"
         "\"num_heads\":1}",
         SY_FORMAT, "2^31 elements"},
        {"{\"model_type\":\"t5\",\"vocab_size\":64,\"d_model\":16777216,\"d_kv\":16777216,\"d_ff\":1,\"num_layers\":1,"
         "\"num_heads\":65536}",
         SY_FORMAT, "num_heads, d_kv and d_model"},
        {"{\"model_type\":\"t5\",\"vocab_size\":64,\"d_model\":16777217,\"d_kv\":1,\"d_ff\":1,\"num_layers\":1,"
         "\"num_heads\":1}",
         SY_FORMAT, "d_model is 16777217"},
    };
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        struct sy_config c;
        char what[64];
        snprintf(what, sizeof what, "wrong config %zu", i);
        io_fails(t, parse(t, cases[i].text, &c), cases[i].code, cases[i].word, what);
    }
    struct sy_config c;
    io_fails(t, sy_config_load(t->ctx, "no/such/model", &c), SY_IO, "no/such/model", "no file");
}

static void test_sparse_rule(struct io *t)
{
    static const struct {
        uint32_t layers, sparse, mask; ///< Bit i: layer i is sparse.
    } cases[] = {
        {12, 6, 0xaaa}, {12, 3, 0x222}, {12, 12, 0xfff}, {12, 0, 0}, {2, 1, 2},
        {3, 1, 2},      {5, 2, 10},     {4, 3, 15},      {1, 1, 1},
    };
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        struct sy_config c;
        uint32_t encoder = 0, decoder = 0;
        sy_config_defaults(true, &c);
        c.layers = c.decoder_layers = cases[i].layers;
        c.sparse_encoder_layers = c.sparse_decoder_layers = cases[i].sparse;
        for (uint32_t layer = 0; layer < 32; ++layer) {
            encoder |= (uint32_t)sy_config_sparse(&c, false, layer) << layer;
            decoder |= (uint32_t)sy_config_sparse(&c, true, layer) << layer;
        }
        io_check(t, encoder == cases[i].mask && decoder == cases[i].mask, "%u of %u layers sparse: mask %#x",
                 cases[i].sparse, cases[i].layers, cases[i].mask);
    }
}

static void test_capacity(struct io *t)
{
    static const struct {
        double factor;
        int64_t fixed;
        uint32_t minimum, experts, group, want;
    } cases[] = {
        {1.0, 64, 1, 4, 10, 2},
        {1.25, -1, 4, 8, 512, 80},
        {1.0, -1, 4, 128, 64, 4},
        {9.0, -1, 4, 4, 16, 16},
        {1.0, -1, 4, 4, 2, 4},
        {0.0, 64, 4, 4, 40, 40},
        {NAN, 2, 4, 4, 12, 2},
        {NAN, 64, 4, 4, 12, 64},
        {NAN, -1, 4, 4, 12, 12},
        {1.0, -1, 1, 6, 4, 1},
        {2.0, -1, 4, 2048, 1 << 20, 1024},
    };
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        struct sy_config c;
        sy_config_defaults(true, &c);
        c.capacity_factor_eval = cases[i].factor;
        c.capacity_factor_train = 3;
        c.expert_capacity = cases[i].fixed;
        c.min_expert_capacity = cases[i].minimum;
        c.experts = cases[i].experts;
        uint32_t got = sy_config_capacity(&c, false, cases[i].group);
        io_check(t, got == cases[i].want, "capacity: factor %g, expert_capacity %d, N %u, E %u: %u (got %u)",
                 cases[i].factor, (int)cases[i].fixed, cases[i].group, cases[i].experts, cases[i].want, got);
    }
}

// ---- writing --------------------------------------------------------------------------------------------------------

static const char *file_text(struct io *t, const char *path, char *text, size_t room)
{
    char *data = NULL;
    size_t bytes;
    text[0] = '\0';
    if (sy_file_read(t->ctx, path, room - 1, &data, &bytes) == SY_OK)
        memcpy(text, data, bytes + 1);
    free(data);
    return text;
}

static void test_write_back(struct io *t, const char *directory)
{
    char *path = sy_path_join(directory, "config.json"), text[8192];
    struct sy_config c = {0}, again = {0}, copy = {0};
    bool good = parses(t,
                       SWITCH ",\"zeta\":{\"b\":[1,2.50,null],\"a\":\"\xc3\xa4\"},\"layer_norm_epsilon\":1e-06,"
                              "\"dropout_rate\":0,\"expert_capacity\":64,"
                              "\"switchyard\":{\"mine\":1,\"min_expert_capacity\":4}}",
                       &c);
    c.d_model = 48;
    c.capacity_factor_train = 1.25;
    good = good && sy_config_copy(t->ctx, &c, &copy) == SY_OK && sy_config_save(t->ctx, &copy, path) == SY_OK;
    file_text(t, path, text, sizeof text);
    io_check(t, good && strstr(text, "\"a\": \"\xc3\xa4\"") && strstr(text, "\"mine\": 1") && strstr(text, "2.5,"),
             "unknown keys are written back");
    io_check(t,
             strstr(text, "\"layer_norm_epsilon\": 1e-06") && strstr(text, "\"dropout_rate\": 0,") &&
                 strstr(text, "\"d_model\": 48"),
             "numbers keep their spelling, changed ones are written");
    io_check(t,
             strstr(text, "\"decoder_start_token_id\": 0") && strstr(text, "\"capacity_factor_train\": 1.25") &&
                 strstr(text, "\"router_jitter_noise\": 0.01") && strstr(text, "capacity_factor_eval") == NULL &&
                 strstr(text, "group_tokens") == NULL,
             "defaults of Hugging Face are written out, ours only when they differ");
    good = sy_config_load(t->ctx, directory, &again) == SY_OK && again.d_model == 48 &&
           again.capacity_factor_train == 1.25 && again.expert_capacity == 64 && again.min_expert_capacity == 4 &&
           isnan(again.capacity_factor_eval);
    io_check(t, good, "what was written reads back");
    again.capacity_factor_train = NAN;
    again.expert_capacity = -1;
    good = good && sy_config_save(t->ctx, &again, path) == SY_OK;
    sy_config_finish(&c);
    good =
        good && sy_config_load(t->ctx, path, &c) == SY_OK && isnan(c.capacity_factor_train) && c.expert_capacity == -1;
    io_check(t, good, "what was taken away is gone");
    again.heads = 0;
    io_fails(t, sy_config_save(t->ctx, &again, path), SY_FORMAT, "num_heads is 0",
             "a config that cannot be is not written");
    sy_config_finish(&c);
    sy_config_finish(&again);
    sy_config_finish(&copy);
    free(path);
}

/// Hugging Face makes a layer sparse where there should be none, unless the step says 0.
static void test_sparse_step(struct io *t, const char *directory)
{
    char *path = sy_path_join(directory, "step.json"), text[8192];
    struct sy_config c = {0};
    bool good =
        parses(t, SWITCH ",\"num_sparse_decoder_layers\":0,\"encoder_sparse_step\":2,\"decoder_sparse_step\":4}", &c) &&
        sy_config_save(t->ctx, &c, path) == SY_OK;
    file_text(t, path, text, sizeof text);
    io_check(t, good && strstr(text, "\"encoder_sparse_step\": 2") && strstr(text, "\"decoder_sparse_step\": 0"),
             "no sparse layer: decoder_sparse_step 0");
    c.sparse_encoder_layers = 4;
    good = good && sy_config_save(t->ctx, &c, path) == SY_OK;
    file_text(t, path, text, sizeof text);
    io_check(t, good && strstr(text, "\"encoder_sparse_step\": 1"), "other layers: another encoder_sparse_step");
    sy_config_finish(&c);
    good = parses(t, SWITCH "}", &c) && sy_config_save(t->ctx, &c, path) == SY_OK;
    file_text(t, path, text, sizeof text);
    io_check(t, good && strstr(text, "sparse_step") == NULL, "a step that follows from the counts is not written");
    sy_config_finish(&c);
    free(path);
}

static void test_new(struct io *t, const char *directory)
{
    char *path = sy_path_join(directory, "new.json"), text[8192];
    for (int i = 0; i < 4; ++i) {
        struct sy_config c, back = {0};
        sy_config_defaults(i & 1, &c);
        c.gated = i & 2;
        bool good = sy_config_save(t->ctx, &c, path) == SY_OK && sy_config_load(t->ctx, path, &back) == SY_OK &&
                    back.is_switch == c.is_switch && back.gated == c.gated && back.experts == c.experts &&
                    back.exploration == c.exploration && back.d_ff == c.d_ff;
        io_check(t, good, "a new %s config, %s, from nothing", i & 1 ? "switch" : "t5", i & 2 ? "gated" : "relu");
        sy_config_finish(&back);
    }
    // A dense student of a sparse teacher: the sparse keys must not stay behind.
    struct sy_config c = {0}, back = {0};
    bool good = parses(
        t, SWITCH ",\"architectures\":[\"SwitchTransformersForConditionalGeneration\"],\"expert_capacity\":9}", &c);
    c.is_switch = false;
    good = good && sy_config_save(t->ctx, &c, path) == SY_OK && sy_config_load(t->ctx, path, &back) == SY_OK &&
           !back.is_switch;
    file_text(t, path, text, sizeof text);
    io_check(t,
             good && strstr(text, "T5ForConditionalGeneration") && !strstr(text, "num_experts") &&
                 !strstr(text, "expert_capacity"),
             "a dense config made from a sparse one");
    sy_config_finish(&c);
    sy_config_finish(&back);
    free(path);
}

/// What T5's relatives leave out, and that their names and activations come back.
static void test_family(struct io *t, const char *directory)
{
    static const struct {
        const char *type, *keys, *class;
        enum sy_family family;
        bool gated, tied, scaled;
    } cases[] = {
        {"t5", "", "\"T5For", SY_FAMILY_T5, false, true, true},
        {"mt5", "", "MT5For", SY_FAMILY_MT5, true, false, false},
        {"mt5", ",\"tie_word_embeddings\":true", "MT5For", SY_FAMILY_MT5, true, true, false},
        {"mt5", ",\"tie_word_embeddings\":true,\"scale_decoder_outputs\":true", "MT5For", SY_FAMILY_MT5, true, true,
         true},
        {"umt5", "", "UMT5For", SY_FAMILY_UMT5, true, true, true},
        {"umt5", ",\"tie_word_embeddings\":false,\"feed_forward_proj\":\"relu\"", "UMT5For", SY_FAMILY_UMT5, false,
         false, false},
    };
    char *path = sy_path_join(directory, "family.json"), text[8192], body[1024];
    const char *rest = strchr(T5, ','); // after the model_type
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        struct sy_config c = {0}, back = {0};
        snprintf(body, sizeof body, "{\"model_type\":\"%s\"%s%s}", cases[i].type, rest, cases[i].keys);
        bool good = parses(t, body, &c) && c.family == cases[i].family && c.gated == cases[i].gated &&
                    c.activation == SY_ACTIVATION_USUAL && c.tied == cases[i].tied &&
                    sy_config_scales_output(&c) == cases[i].scaled;
        io_check(t, good, "%s%s", cases[i].type, cases[i].keys);
        sy_config_finish(&c); // from here on as one that is written from nothing
        sy_config_defaults(false, &c);
        c.family = cases[i].family;
        c.tied = cases[i].tied;
        good = sy_config_save(t->ctx, &c, path) == SY_OK && sy_config_load(t->ctx, path, &back) == SY_OK &&
               back.family == c.family && back.tied == c.tied && !back.gated;
        file_text(t, path, text, sizeof text);
        io_check(t, good && strstr(text, cases[i].class) != NULL, "%s is written under its name", cases[i].type);
        sy_config_finish(&back);
    }
    for (int i = 0; i < 2 * (SY_ACTIVATION_QUICK_GELU + 1); ++i) {
        struct sy_config c, back = {0};
        sy_config_defaults(false, &c);
        c.gated = i & 1;
        c.activation = (enum sy_activation)(i / 2);
        if (c.activation == (c.gated ? SY_ACTIVATION_GELU_NEW : SY_ACTIVATION_RELU))
            continue; // the usual ones under another name
        bool good = sy_config_save(t->ctx, &c, path) == SY_OK && sy_config_load(t->ctx, path, &back) == SY_OK &&
                    back.gated == c.gated && back.activation == c.activation && sy_config_difference(&c, &back) == NULL;
        io_check(t, good, "activation %d, %s, comes back", c.activation, c.gated ? "gated" : "not gated");
        sy_config_finish(&back);
    }
    struct sy_config sparse;
    sy_config_defaults(true, &sparse);
    sparse.family = SY_FAMILY_UMT5;
    io_fails(t, sy_config_save(t->ctx, &sparse, path), SY_UNSUPPORTED, "umt5", "a sparse UMT5");
    free(path);
}

/// Weights are written as F32: a key that says otherwise would make Hugging Face round them when it loads them.
static void test_dtype(struct io *t, const char *directory)
{
    static const struct {
        const char *keys, *word, *gone;
    } cases[] = {
        {",\"dtype\":\"float16\"", "\"dtype\": \"float32\"", "torch_dtype"},
        {",\"torch_dtype\":\"bfloat16\"", "\"torch_dtype\": \"float32\"", "\"dtype\""},
        {",\"torch_dtype\":null", "\"torch_dtype\": \"float32\"", "\"dtype\""},
        {",\"dtype\":\"float32\"", "\"dtype\": \"float32\"", "torch_dtype"},
        {",\"dtype\":\"float16\",\"quantization_config\":{\"load_in_8bit\":true}", "\"dtype\": \"float32\"",
         "quantization"},
        {"", "\"vocab_size\"", "dtype"},
    };
    char *path = sy_path_join(directory, "dtype.json"), text[8192];
    for (int i = 0; i < 2 * (int)SY_COUNT(cases); ++i) {
        struct sy_config c = {0};
        char json[1024];
        snprintf(json, sizeof json, "%s%s}", i & 1 ? SWITCH : T5, cases[i / 2].keys);
        bool good = parses(t, json, &c) && sy_config_save(t->ctx, &c, path) == SY_OK;
        file_text(t, path, text, sizeof text);
        io_check(t, good && strstr(text, cases[i / 2].word) && !strstr(text, cases[i / 2].gone),
                 "%s is written with %s", json, cases[i / 2].word);
        sy_config_finish(&c);
    }
    free(path);
}

/// How a byte vocabulary numbers its masks is written, and what generation needs stands in a file of its own.
static void test_ids(struct io *t, const char *directory)
{
    char *path = sy_path_join(directory, "ids.json"), text[8192];
    struct sy_config c = {0}, back = {0};
    static const char *const names[] = {"top", "byt5", "transformers"};
    for (size_t i = 0; i < SY_COUNT(names); ++i) {
        char json[512];
        snprintf(json, sizeof json, "%s,\"switchyard\":{\"sentinels\":\"%s\"}}", i == 0 ? SWITCH : T5, names[i]);
        bool good = parses(t, json, &c) && c.sentinels == (enum sy_sentinels)(i + 1) &&
                    sy_config_save(t->ctx, &c, path) == SY_OK && sy_config_load(t->ctx, path, &back) == SY_OK &&
                    back.sentinels == c.sentinels;
        io_check(t, good, "masks \"%s\": read, written, read", names[i]);
        sy_config_finish(&c);
        sy_config_finish(&back);
    }
    bool good = parses(t, T5 ",\"eos_token_id\":5,\"pad_token_id\":3,\"decoder_start_token_id\":4}", &c) &&
                c.sentinels == SY_SENTINELS_UNSAID && sy_config_save(t->ctx, &c, path) == SY_OK;
    file_text(t, path, text, sizeof text);
    io_check(t, good && strstr(text, "sentinels") == NULL, "masks that nothing was said of stay unsaid");
    good = good && sy_config_save_generation(t->ctx, &c, path) == SY_OK;
    file_text(t, path, text, sizeof text);
    io_check(t,
             good && strstr(text, "\"decoder_start_token_id\": 4") && strstr(text, "\"eos_token_id\": 5") &&
                 strstr(text, "\"pad_token_id\": 3"),
             "generation_config.json has the same ids");
    sy_config_finish(&c);
    free(path);
}

static bool write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    return file != NULL && (fputs(text, file) >= 0) + (fclose(file) == 0) == 2;
}

/// How a model decodes is no matter of its config, and survives training all the same.
static void test_generation(struct io *t, const char *directory)
{
    static const struct {
        const char *read, *kept, *ends;
    } cases[] = {{"{\"num_beams\": 4, \"length_penalty\": 0.6, \"pad_token_id\": 9, \"eos_token_id\": 8}",
                  "\"num_beams\": 4", "\"eos_token_id\": 1"},
                 {"{\"early_stopping\": \"never\", \"eos_token_id\": [1, 7]}", "\"early_stopping\": \"never\"", "7"}};
    struct sy_config c = {0}, copy = {0};
    char *folder = sy_path_join(directory, "generation"), *config = sy_path_join(folder, "config.json"), text[1024];
    char *own = sy_path_join(folder, "generation_config.json"), *out = sy_path_join(folder, "out.json");
    bool good =
        sy_dir_create(t->ctx, folder) == SY_OK && parses(t, T5 "}", &c) && sy_config_save(t->ctx, &c, config) == SY_OK;
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        sy_config_finish(&c);
        good = good && write_text(own, cases[i].read) && sy_config_load(t->ctx, folder, &c) == SY_OK &&
               sy_config_copy(t->ctx, &c, &copy) == SY_OK;
        sy_config_finish(&c);
        good = good && sy_config_save_generation(t->ctx, &copy, out) == SY_OK;
        sy_config_finish(&copy);
        file_text(t, out, text, sizeof text);
        io_check(t,
                 good && strstr(text, cases[i].kept) && strstr(text, cases[i].ends) &&
                     strstr(text, "\"pad_token_id\": 0"),
                 "generation_config.json is kept, with the config's ids: %s", cases[i].kept);
    }
    good = good && write_text(own, "{");
    io_fails(t, good ? sy_config_load(t->ctx, folder, &c) : SY_OK, SY_FORMAT, "generation_config.json",
             "half a generation_config.json");
    free(folder);
    free(config);
    free(own);
    free(out);
}

static void test_numbers(struct io *t)
{
    static const double values[] = {0.1,  1e-6,        1.0 / 3, 1e22, 5e-324, 1.7976931348623157e308,
                                    -0.0, 123456789.0, 1e-4,    0.001};
    bool good = true;
    for (size_t i = 0; i < SY_COUNT(values); ++i) {
        json_t *root = json_pack("{s:f}", "x", values[i]), *back = NULL;
        char *text = sy_json_format(root);
        good = good && text != NULL && sy_json_parse(t->ctx, text, strlen(text), "number", &back) == SY_OK &&
               json_is_real(json_object_get(back, "x")) && json_real_value(json_object_get(back, "x")) == values[i];
        free(text);
        json_decref(root);
        json_decref(back);
    }
    io_check(t, good, "reals read back exactly, and as reals");
}

int main(void)
{
    struct io t = {0};
    char directory[512];
    t.ctx = sy_ctx_create(io_log, &t, SY_LOG_WARN);
    if (t.ctx == NULL || !io_directory(directory, sizeof directory))
        return 2;
    test_defaults(&t);
    test_activation(&t);
    test_output_scale(&t);
    test_errors(&t);
    test_sparse_rule(&t);
    test_capacity(&t);
    test_write_back(&t, directory);
    test_sparse_step(&t, directory);
    test_new(&t, directory);
    test_family(&t, directory);
    test_dtype(&t, directory);
    test_ids(&t, directory);
    test_generation(&t, directory);
    test_numbers(&t);
    if (sy_dir_remove(t.ctx, directory) != SY_OK)
        return 2;
    return io_end(&t);
}
