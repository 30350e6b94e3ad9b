// SPDX-License-Identifier: Apache-2.0
// model.h: a T5 encoder-decoder with Switch layers (spec §3–§5) as a graph.
//
// sy_model_build() walks the config and calls one layer function per sub-layer (engine/layers/); the same functions
// build training, evaluation and decoding. Parameters carry their Hugging Face names.
#pragma once

#include "engine/config.h"
#include "engine/graph.h"

enum sy_model_mode {
    SY_MODEL_TRAIN,  ///< Dropout, jitter, capacity_factor_train.
    SY_MODEL_EVAL,   ///< None of them, capacity_factor_eval.
    SY_MODEL_DECODE, ///< Phase ENCODE once, then phase MICRO per generated token; dropless, but for the source under
                     ///< expert choice.
};

struct sy_model_params {
    const struct sy_config *config; ///< Borrowed; must outlive the model.
    enum sy_model_mode mode;
    uint32_t batch, src_len, tgt_len; ///< Of one micro-batch. Decode: tgt_len is the longest output.
    uint32_t beams;                   ///< Decode: output sequences of each source; 0: 1.
    bool capacity_train;              ///< Use capacity_factor_train (golden cases name the mode); implied by TRAIN.
    bool jitter_input;                ///< Jitter comes from input tensors `jitter.<layer>` instead of Philox.
    bool keep_internals; ///< Keep logits, encoder output and every router tensor readable (apps/eval --dump).
};

/// One sparse layer, for metrics and dumps.
struct sy_model_sparse {
    char name[64]; ///< "encoder.block.1"
    bool decoder;
    uint32_t rows, seq, group, groups, experts, k, capacity;
    struct sy_sum loss;                           ///< f32 [2]: Σ_g aux_g (× inv_groups = the layer's aux), z.
    struct sy_sum stats;                          ///< f32 [E + 4]: see sy_route_stats_args.
    sy_tid group_loss;                            ///< f32 [G,2] of the last micro-batch.
    sy_tid load, kept;                            ///< i32 [G,E] of the last micro-batch.
    sy_tid jitter;                                ///< f32 input, when asked for.
    sy_tid gate, slot, z, p, expert, pos, choice; ///< [rows, …]; readable with keep_internals. choice: candidates.
    uint32_t choice_cols;
};

#define SY_MAX_SPARSE 256

struct sy_model {
    struct sy_model_params params;
    // Inputs of one micro-batch (i32): rows are B·S or B·T.
    sy_tid enc_ids, enc_mask, enc_index, dec_ids, dec_mask, dec_index;
    sy_tid parents; ///< Decode with beams: whose past each output sequence takes over; SY_NONE without.
    // Results.
    sy_tid encoder_output, logits;
    sy_tid how;  ///< Decode without beams: how tokens are drawn (SY_DRAW_WORDS).
    sy_tid best; ///< Decode without beams: the most probable token of each row of logits, or the one drawn.
    /// Decode with beams: of each row of logits the `top` most probable tokens and their log-probabilities
    /// (sy_top_args), enough for the next beams; SY_NONE and 0 where they are too many for the op.
    sy_tid top_value, top_place;
    uint32_t top;
    uint32_t sparse_count;
    struct sy_model_sparse sparse[SY_MAX_SPARSE];
};

/// Builds the forward pass into `g` (initialised, empty). Errors: INVALID no sequence or token, or too
/// many for 32 bits · UNSUPPORTED d_kv, sparse layers or experts beyond what there is room for, switch_attention · the
/// graph's own. (That group_tokens divides micro-batches is for the session to check: it knows how many there are.)
SY_MUST_CHECK enum sy_status sy_model_build(struct sy_graph *g, const struct sy_model_params *params,
                                            struct sy_model *out);

/// Number of parameters the graph holds.
uint64_t sy_model_parameter_count(const struct sy_graph *g);
