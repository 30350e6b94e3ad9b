// SPDX-License-Identifier: Apache-2.0
// session.h: a model on a device: build it, fill it, train it, evaluate it.
//
// A session owns a graph and its runtime. One session trains; another, borrowing its parameters, validates; a third may
// decode. This header and data/batch.h are all that a program needs to train (see docs/example.c).
//
// Ownership: a session borrows its context and device. Threads: one per device.
#pragma once

#include "engine/assemble.h"
#include "engine/data/batch.h"
#include "engine/runtime.h"
#include "engine/weights.h"

/// One sparse layer over the whole step.
struct sy_layer_metrics {
    const char *name;
    double aux, z;    ///< With coefficients.
    uint64_t tokens;  ///< That are no padding.
    double dropped;   ///< Share of them that no expert processed.
    double entropy;   ///< Of the expert load, in nats; log(E) is perfect balance.
    double max_load;  ///< Fullest expert's load / mean load.
    double mean_gate; ///< Of the chosen experts; top2: of the first choice.
};

struct sy_metrics {
    double loss_ce, aux, z, total;
    double nlp, perplexity, accuracy; ///< nlp = −loss_ce (the paper's tables).
    double grad_norm;                 ///< After an update.
    uint64_t labels, tokens;          ///< Non-ignored targets; all non-padding tokens, both sides.
    uint32_t layer_count;
    struct sy_layer_metrics layers[SY_MAX_SPARSE];
};

struct sy_session;

enum { SY_FLIGHTS = 2 };

/// Builds, plans and compiles. `*out` is malloc'ed. Errors: those of graph, plan and runtime.
SY_MUST_CHECK enum sy_status sy_session_create(struct sy_ctx *ctx, struct sy_device *device,
                                               const struct sy_session_params *params, struct sy_session **out);
void sy_session_destroy(struct sy_session **session);

struct sy_device *sy_session_device(const struct sy_session *s);
/// What it was created with; `config` is the session's own copy, `task` never NULL.
const struct sy_session_params *sy_session_built_with(const struct sy_session *s);
const struct sy_config *sy_session_config(const struct sy_session *s);
const struct sy_graph *sy_session_graph(const struct sy_session *s);
const struct sy_model *sy_session_model(const struct sy_session *s);
/// Of any kind but DECODE.
const struct sy_loss *sy_session_loss(const struct sy_session *s);
/// Where its parameters go in and out (weights.h).
struct sy_runtime *sy_session_runtime(const struct sy_session *s);

/// One optimizer step over `count` micro-batches of the session's shape. `t` = 1, 2, … The losses are those before the
/// update. Blocks. Errors: INVALID shapes · DEVICE · INTERNAL a loss or gradient norm that is not finite: the
/// message has the step and each loss. It is found after the update, so parameters may be spoilt: reload a checkpoint.
SY_MUST_CHECK enum sy_status sy_session_step(struct sy_session *s, const struct sy_batch *batches, uint32_t count,
                                             uint64_t t, double lr, uint64_t seed, struct sy_metrics *out);
/// The same in two halves: begin() hands the whole step to the device and returns while it works, so that the caller
/// can prepare the next batches; end() waits for the oldest step that was begun. Up to SY_FLIGHTS may be: the device
/// then has the next step in its queue while the host looks at the last one's metrics. Nothing else may be asked of the
/// session while one is under way.
SY_MUST_CHECK enum sy_status sy_session_begin(struct sy_session *s, const struct sy_batch *batches, uint32_t count,
                                              uint64_t t, double lr, uint64_t seed);
SY_MUST_CHECK enum sy_status sy_session_end(struct sy_session *s, struct sy_metrics *out);
/// Loss, accuracy and routing of `count` micro-batches, as one step of the whole: the same numbers, however the same
/// rows are cut into micro-batches. Kind GRADIENTS leaves gradients behind.
SY_MUST_CHECK enum sy_status sy_session_evaluate(struct sy_session *s, const struct sy_batch *batches, uint32_t count,
                                                 struct sy_metrics *out);
