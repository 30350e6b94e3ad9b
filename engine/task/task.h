// SPDX-License-Identifier: Apache-2.0
// task.h: what a model is trained to do: how text becomes examples, how long they are, what the loss is and which
// metrics come of it.
//
// A task is a constant; sessions, programs and datasets ask it instead of knowing span corruption. Layer: engine.
#pragma once

#include "engine/data/batch.h"
#include "engine/task/loss.h"

struct sy_task {
    const char *name;
    enum sy_objective objective; ///< How a dataset makes its examples (sy_dataset_params).
    uint32_t src_len, tgt_len;   ///< What programs take when nothing is said.
    /// The raw tokens of the longest example that fits, with that many sentinels; 0: none does. The pointer is NULL
    /// where examples have lengths of their own.
    uint32_t (*raw_length)(uint32_t src_len, uint32_t tgt_len, uint32_t sentinels);
    /// Tokens on both sides of the example that is made of `raw_length` tokens.
    void (*lengths)(uint32_t raw_length, uint32_t *out_inputs, uint32_t *out_targets);
    /// Emits the loss behind a model that was built for anything but decoding.
    void (*emit_loss)(struct sy_graph *g, const struct sy_model *model, struct sy_loss *out);
    /// Fills metrics out of the loss's sums over a step; counts of labels and tokens are there already.
    void (*metrics)(const double *sums, struct sy_metrics *out);
};

/// T5's pre-training: 15 % of the tokens in runs of 3 are cut out, and the model says what was there (spec §9).
extern const struct sy_task sy_task_spans;
/// A table's rows as inputs and targets (data/pairs.h): the model says the target, word for word. Lengths are those of
/// the examples, so it has neither raw_length nor lengths.
extern const struct sy_task sy_task_pairs;
