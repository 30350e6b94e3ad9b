// SPDX-License-Identifier: Apache-2.0
// loss.h: from a model's logits to the loss of a step.
//
// A loss emits its ops behind a model's; the gradient rules of those ops do the rest (rules.c). It declares the inputs
// that it reads besides the logits, and what it adds up over the tokens of a step; whoever runs the graph writes the
// one and reads the other. Cross-entropy reads labels; one that also learns from a teacher would declare an input for
// the teacher's logits beside them.
// Layer: engine; knows models (their logits), and models know nothing of it.
#pragma once

#include "engine/model.h"

struct sy_metrics;

struct sy_loss {
    sy_tid rows;        ///< f32 [decoder rows, 4]: the same of each row, an activation; SY_NONE: there is none.
    sy_tid labels;      ///< i32 input, a target token of each decoder row; −1: none.
    struct sy_sum sums; ///< Of all rows; what they are is the loss's own business.
};

/// Labels against logits, with z-loss and label smoothing as the config has them (spec §5). Errors stick in the graph.
/// sums: f32 [4]: lse (meaningless), Σ ce, correct, Σ z.
void sy_cross_entropy_emit(struct sy_graph *g, const struct sy_model *model, struct sy_loss *out);
/// The metrics that come of its sums, read as doubles, over out->labels targets: loss_ce, z, nlp, perplexity, accuracy.
void sy_cross_entropy_metrics(const double *sums, struct sy_metrics *out);
