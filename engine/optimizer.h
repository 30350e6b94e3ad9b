// SPDX-License-Identifier: Apache-2.0
// optimizer.h: appends the update of every parameter to a graph (phase UPDATE).
//
// Adafactor (spec §8, T5X/MTF formula) keeps per-matrix row and column statistics when both sides are ≥ 128, else one
// value per weight; every part of a stacked parameter (an expert, q, k, v) is its own matrix. AdamW is decoupled. Each
// op works on all matrices of a pack at once, by a table (matrices.h).
#pragma once

#include "engine/graph.h"

enum sy_optimizer { SY_OPTIMIZER_ADAFACTOR, SY_OPTIMIZER_ADAMW };
const char *sy_optimizer_name(enum sy_optimizer kind); ///< "adafactor", "adamw"

struct sy_optimizer_params {
    enum sy_optimizer kind;
    float clip_norm;                       ///< Global norm clip; 0 = none.
    float beta1, beta2, eps, weight_decay; ///< AdamW; zeros mean 0.9, 0.999, 1e-8, 0.
};

/// What the host reads after the update.
struct sy_optimizer_outputs {
    sy_tid clip; ///< f32 [2]: factor applied, global gradient norm.
};

/// Emits the update. Parameters that got no gradient (took no part) get a zero one, so that their statistics decay
/// exactly as the formula says.
void sy_optimizer_emit(struct sy_graph *g, const struct sy_optimizer_params *params, struct sy_optimizer_outputs *out);

/// What a state is called in a checkpoint: "r", "col", "v" or "m".
const char *sy_state_name(enum sy_state kind);
/// True when Adafactor keeps factored statistics for a matrix of this shape.
bool sy_adafactor_factored(uint32_t rows, uint32_t cols);
