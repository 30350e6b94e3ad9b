// SPDX-License-Identifier: Apache-2.0
// layers.h: what the layer functions share. Private to engine/model.c and engine/layers/.
//
// A sub-layer (attention, feed-forward) takes activations [rows, D] and returns such; the residual is added by the
// caller, block() in engine/model.c. Shapes in comments use spec §1's letters.
#pragma once

#include <stdio.h>

#include "engine/graph_private.h"
#include "engine/model.h"
#include "engine/split.h"
#include "engine/stream.h"

/// Where in the model we are building.
struct sy_build {
    struct sy_graph *g;
    struct sy_model *m;
    const struct sy_config *c;
    bool train, decode;
    // The current stack:
    bool decoder;
    uint32_t batch, seq, rows; ///< rows = batch · seq
    sy_tid mask;               ///< [rows] 1 = a real token (routing)
    sy_tid key_mask;           ///< [B,S] for attention over the encoder
    sy_tid rel;                ///< [H, span] f32, relative bias of the self-attention at hand
    uint32_t span, rel_origin;
    sy_tid encoder_output; ///< [B·S, D]
};

/// A parameter of `parts` weights [out, in] with these names (whole ones), drawn for a fan-in of `in` (spec §7): of the
/// whole matrix, where this is a share of one.
sy_tid sy_linear_weight(struct sy_build *b, uint32_t parts, uint32_t out, uint32_t in, const char (*names)[112],
                        uint32_t flags);
/// y [rows, out] = x · Wᵀ; of this rank's part of a W that is split by columns: all parts' sum.
sy_tid sy_linear(struct sy_build *b, sy_tid x, sy_tid w, uint32_t rows, uint32_t out, uint32_t in, float alpha,
                 const char *name);
sy_tid sy_rmsnorm_layer(struct sy_build *b, sy_tid x, const char *param_name);
sy_tid sy_dropout_layer(struct sy_build *b, sy_tid x, const char *what);
sy_tid sy_residual_layer(struct sy_build *b, sy_tid x, sy_tid f, const char *what);
/// Dropout arguments of rate `rate` (0 outside training).
struct sy_dropout_args sy_dropout_args_of(const struct sy_build *b, float rate, uint32_t cols, const char *what);

/// Expands the relative bias of block `block`'s self-attention and leaves it in b->rel (spec §3): later blocks use it,
/// too, until there is another.
void sy_relative_bias(struct sy_build *b, uint32_t block);
/// T5's bucket of a key at `distance` = key − query.
int32_t sy_relative_bucket(int32_t distance, bool bidirectional, uint32_t buckets, uint32_t max_distance);
sy_tid sy_self_attention(struct sy_build *b, sy_tid x, uint32_t block);
sy_tid sy_cross_attention(struct sy_build *b, sy_tid x, uint32_t block);
/// Decode: projects the encoder output once (phase ENCODE); returns [B·S, 2·H·K].
sy_tid sy_cross_keys(struct sy_build *b, uint32_t block);

/// The op of an FFN's activation; *act: which one it is to compute (SY_ACT_…).
enum sy_op_id sy_activation_op(const struct sy_build *b, uint32_t *act);

/// x [rows, F] or gated [rows, F|F] → dropout(activation) [rows, F]; `source`: the token of each row (args->indexed).
sy_tid sy_activate(struct sy_build *b, struct sy_ffn_act_args *args, sy_tid x, sy_tid source, const char *name);
sy_tid sy_dense_ffn(struct sy_build *b, sy_tid x, uint32_t block);
sy_tid sy_switch_ffn(struct sy_build *b, sy_tid x, uint32_t block);
