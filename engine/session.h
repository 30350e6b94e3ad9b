// SPDX-License-Identifier: Apache-2.0
// session.h: a model on a device: build it, fill it, train it, evaluate it.
//
// A session owns a graph and its runtime. One session trains; another, borrowing its parameters, validates; a third may
// decode. This header and data/batch.h are all that a program needs to train (see docs/example.c).
//
// Ownership: a session borrows its context and device. Threads: one per device.
#pragma once

#include "engine/data/batch.h"
#include "engine/model.h"
#include "engine/optimizer.h"
#include "engine/runtime.h"
#include "engine/weights.h"

enum sy_session_kind {
    SY_SESSION_TRAIN,     ///< Forward, backward, optimizer.
    SY_SESSION_GRADIENTS, ///< Forward and backward, without dropout, jitter or an optimizer (dumps, gradient checks).
    SY_SESSION_EVAL,      ///< Forward only.
    SY_SESSION_DECODE,
};

struct sy_session_params {
    enum sy_session_kind kind;
    const struct sy_config *config; ///< Copied.
    enum sy_precision precision;
    uint32_t batch, src_len, tgt_len; ///< One micro-batch.
    uint32_t micro_count;             ///< Micro-batches of a step, a power of two; 0: 1. Only TRAIN has several.
    uint32_t slices;     ///< Of the whole step (spec §11), a power of two, at least micro_count; 0: micro_count.
    bool capacity_train; ///< Evaluate with capacity_factor_train.
    bool jitter_input, keep_internals, recompute;
    struct sy_optimizer_params optimizer; ///< TRAIN.
    const struct sy_session *lender;      ///< Borrow its parameters, or NULL.
    bool borrows;                         ///< sy_session_bytes(): there will be a lender.
};

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

struct sy_sums;

struct sy_session {
    struct sy_ctx *ctx;
    struct sy_device *device;
    struct sy_session_params params;
    struct sy_config config;
    struct sy_graph graph;
    struct sy_model model;
    struct sy_runtime runtime;
    struct sy_optimizer_outputs outputs;
    struct sy_sums *sums; ///< Of the step under way (metrics.h).
    int32_t *scratch;     ///< Token ids of one micro-batch, sorted (sy_embed_index).
    size_t scratch_count;
};

/// Builds, plans and compiles. `*out` is malloc'ed. Errors: those of graph, plan and runtime.
SY_MUST_CHECK enum sy_status sy_session_create(struct sy_ctx *ctx, struct sy_device *device,
                                               const struct sy_session_params *params, struct sy_session **out);
/// What sy_session_create() would allocate on a device with `caps`; nothing is allocated. Errors: those of graph and
/// plan.
SY_MUST_CHECK enum sy_status sy_session_bytes(struct sy_ctx *ctx, const struct sy_caps *caps,
                                              const struct sy_session_params *params, uint64_t *out_bytes);
void sy_session_destroy(struct sy_session **session);

/// One optimizer step over `count` micro-batches of the session's shape. `t` = 1, 2, … The losses are those before the
/// update. Blocks. Errors: INVALID shapes · DEVICE · INTERNAL a loss or gradient norm that is not finite: the
/// message has the step and each loss. It is found after the update, so parameters may be spoilt: reload a checkpoint.
SY_MUST_CHECK enum sy_status sy_session_step(struct sy_session *s, const struct sy_batch *batches, uint32_t count,
                                             uint64_t t, double lr, uint64_t seed, struct sy_metrics *out);
/// Loss, accuracy and routing of `count` micro-batches, as one step of the whole: the same numbers, however the same
/// rows are cut into micro-batches. Kind GRADIENTS leaves gradients behind.
SY_MUST_CHECK enum sy_status sy_session_evaluate(struct sy_session *s, const struct sy_batch *batches, uint32_t count,
                                                 struct sy_metrics *out);

/// Makes decoder inputs: labels shifted right behind `start`; ignored labels become `pad`.
void sy_shift_right(const int32_t *labels, uint32_t batch, uint32_t tgt_len, int32_t start, int32_t pad, int32_t *out);
/// Builds embed_bwd's index of `rows` ids (op_args.h); `out` has 3·rows + 2 entries. Errors: INVALID naming an id
/// outside the vocabulary · NOMEM.
SY_MUST_CHECK enum sy_status sy_embed_index(struct sy_ctx *ctx, const int32_t *ids, uint32_t rows, uint32_t vocab,
                                            int32_t *out);
