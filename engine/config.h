// SPDX-License-Identifier: Apache-2.0
// config.h: a model's config.json: Hugging Face keys, and ours in the object "switchyard".
//
// Absent keys take Hugging Face's defaults; keys we do not know are kept and written back as they were.
// Absent feed_forward_proj is relu in a T5, gated-gelu in its relatives. An absent num_decoder_layers is num_layers in
// a T5 but 12 in a Switch model: Hugging Face leaves out what equals its default. null is num_layers in both. A loaded
// config is safe to compute with: every size is positive, every matrix has fewer than 2^31 elements, and every
// probability, rate and coefficient is finite and in range. Lifetime: sy_config_finish() releases what a config owns; a
// zeroed config is fine. Layer:    engine.
#pragma once

#include "hostlib/status.h"

enum sy_router { SY_ROUTER_SWITCH, SY_ROUTER_TOP2, SY_ROUTER_EXPERT_CHOICE, SY_ROUTER_NTLB };

/// Relatives of a dense T5, which differ in little: T5's and mT5's stacks share one position bias, UMT5's layers have
/// each their own; transformers never scales an mT5's output.
enum sy_family { SY_FAMILY_T5, SY_FAMILY_MT5, SY_FAMILY_UMT5 };

/// The activation of the feed-forward layers, by its name in transformers.
enum sy_activation {
    SY_ACTIVATION_USUAL,    ///< relu, and gelu_new where gated: T5 1.0 and 1.1.
    SY_ACTIVATION_RELU,     ///< Gated.
    SY_ACTIVATION_GELU_NEW, ///< Not gated. By tanh, as gelu_pytorch_tanh, gelu_fast, gelu_accurate, gelu_python_tanh.
    SY_ACTIVATION_GELU,     ///< By erf: gelu, gelu_python.
    SY_ACTIVATION_SILU,     ///< silu, swish
    SY_ACTIVATION_QUICK_GELU,
};

/// How training explores beyond the most probable expert (paper, appendix C).
enum sy_exploration {
    SY_EXPLORE_ARGMAX,
    SY_EXPLORE_SAMPLE,        ///< Draw the expert from the softmax.
    SY_EXPLORE_INPUT_DROPOUT, ///< Drop router inputs at input_dropout_rate.
    SY_EXPLORE_INPUT_JITTER,  ///< Multiply router inputs by U(1 − jitter, 1 + jitter).
};

/// Which ids the masks <extra_id_N> of a byte vocabulary have; a SentencePiece vocabulary says so itself.
enum sy_sentinels {
    SY_SENTINELS_UNSAID,       ///< The key is absent.
    SY_SENTINELS_TOP,          ///< "top": V − 1 − N, as T5 counts; what a model drawn here learns.
    SY_SENTINELS_BYT5,         ///< "byt5": 258 − N, the last 100 bytes, as Google's ByT5 was trained.
    SY_SENTINELS_TRANSFORMERS, ///< "transformers": 259 + N, as Hugging Face's ByT5Tokenizer numbers them.
};

/// Three states: the key may be absent.
enum sy_maybe { SY_ABSENT = -1, SY_NO = 0, SY_YES = 1 };

struct sy_config {
    bool is_switch; ///< model_type "switch_transformers"; else one of `family`.
    enum sy_family family;
    uint32_t vocab_size, d_model, d_kv, d_ff, heads;
    uint32_t layers, decoder_layers;
    uint32_t buckets, max_distance; ///< Relative attention positions.
    bool gated;                     ///< The feed-forward layers have wi_0, activated, times wi_1.
    enum sy_activation activation;
    bool tied; ///< Output uses the embedding. A stored lm_head.weight overrules it (model loader).
    enum sy_maybe scale_decoder_outputs;
    uint32_t pad_id, eos_id, start_id;
    double dropout, layer_norm_eps, initializer_factor;

    // Sparse layers. Without them (or for "t5") experts is 0.
    uint32_t experts;
    uint32_t sparse_encoder_layers, sparse_decoder_layers;
    int64_t expert_capacity;              ///< −1 when absent.
    double jitter, z_loss_coef, aux_coef; ///< router_jitter_noise, router_z_loss_coef, router_aux_loss_coef
    bool add_router_probs;

    // "switchyard"
    enum sy_router router;
    enum sy_exploration exploration;                    ///< Absent: INPUT_JITTER when jitter > 0, else ARGMAX.
    uint32_t group_tokens;                              ///< 0: one group per sequence.
    double capacity_factor_train, capacity_factor_eval; ///< NaN when absent; 0 = dropless.
    uint32_t min_expert_capacity;
    uint32_t ntlb_top_k;       ///< At most `experts` rounds take place.
    double expert_dropout;     ///< Absent: dropout.
    double input_dropout_rate; ///< For SY_EXPLORE_INPUT_DROPOUT (0.1, as the paper's code).
    double init_scale;
    double z_loss, label_smoothing; ///< On the output softmax.
    bool switch_attention;
    enum sy_sentinels sentinels;

    void *extra;      ///< The parsed JSON (json_t object), for writing back what we do not know; NULL for a new config.
    void *generation; ///< That of generation_config.json beside it, which is for who decodes; NULL: there is none.
};

/// Hugging Face's defaults for the model type, without `extra`.
void sy_config_defaults(bool is_switch, struct sy_config *out_config);
/// Reads `path`, or config.json in it when it is a directory, with the generation_config.json beside it.
/// Errors: IO · FORMAT naming file, key, value found and expected · UNSUPPORTED a feature we do not have.
SY_MUST_CHECK enum sy_status sy_config_load(struct sy_ctx *ctx, const char *path, struct sy_config *out_config);
/// The same from memory; `name` stands for the file in messages.
SY_MUST_CHECK enum sy_status sy_config_parse(struct sy_ctx *ctx, const char *text, size_t bytes, const char *name,
                                             struct sy_config *out_config);
/// Checks a config whose fields were changed or filled by hand (sizes, ranges, contradictions).
SY_MUST_CHECK enum sy_status sy_config_check(struct sy_ctx *ctx, const struct sy_config *config, const char *name);
/// Writes every key in force over the keys the config was read with, to the file `path`, atomically. A key for the type
/// of the weights (dtype, torch_dtype) becomes float32, which is what we write.
SY_MUST_CHECK enum sy_status sy_config_save(struct sy_ctx *ctx, const struct sy_config *config, const char *path);
/// Writes generation_config.json as it was read, with the ids of the config, which Hugging Face believes before
/// config.json.
SY_MUST_CHECK enum sy_status sy_config_save_generation(struct sy_ctx *ctx, const struct sy_config *config,
                                                       const char *path);
/// Deep copy. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_config_copy(struct sy_ctx *ctx, const struct sy_config *config,
                                            struct sy_config *out_config);
void sy_config_finish(struct sy_config *config);
/// The name of a key in which two models differ, or NULL. Keys that are only kept (`extra`) do not count.
const char *sy_config_difference(const struct sy_config *a, const struct sy_config *b);

/// Whether layer `layer` of a stack has experts: every (layers / sparse layers)-th, as Hugging Face counts.
bool sy_config_sparse(const struct sy_config *config, bool decoder, uint32_t layer);
/// Places of one expert in one group of (nominally) `group` tokens. Dropless: `group`.
uint32_t sy_config_capacity(const struct sy_config *config, bool train, uint32_t group);
/// Whether logits are scaled by d_model^-0.5.
bool sy_config_scales_output(const struct sy_config *config);
/// "switch", "top2", …; "argmax", "sample", …
const char *sy_router_name(enum sy_router router);
const char *sy_exploration_name(enum sy_exploration exploration);
const char *sy_sentinels_name(enum sy_sentinels sentinels); ///< "top", "byt5", "transformers"; "unsaid".
