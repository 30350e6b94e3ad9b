// SPDX-License-Identifier: Apache-2.0
// assemble.h: from a config to the graph of a whole step, in the one place where that is done: sessions run the graph,
// switchyard-plan looks at it.
//
// Model → loss → backward → merges of slices → optimizer → refresh → lowering, as far as the kind of session needs
// them. Ownership: the graph owns what it holds; params and config are borrowed.   Layer: engine.
#pragma once

#include "engine/model.h"
#include "engine/optimizer.h"
#include "engine/task/task.h"

struct sy_session;

enum sy_session_kind {
    SY_SESSION_TRAIN,     ///< Forward, backward, optimizer.
    SY_SESSION_GRADIENTS, ///< Forward and backward, without dropout, jitter or an optimizer (dumps, gradient checks).
    SY_SESSION_EVAL,      ///< Forward only.
    SY_SESSION_DECODE,    ///< Text, token by token (task/decode.h).
};

struct sy_session_params {
    enum sy_session_kind kind;
    const struct sy_config *config; ///< Copied.
    const struct sy_task *task;     ///< What is learnt or scored; NULL: sy_task_spans.
    enum sy_precision precision;
    uint32_t batch, src_len, tgt_len; ///< One micro-batch.
    uint32_t beams;                   ///< DECODE: sequences of each prompt (beam search); 0: 1.
    uint32_t micro_count;             ///< Micro-batches of a step, a power of two; 0: 1. Only TRAIN has several.
    uint32_t slices;     ///< Of the whole step (spec §11), a power of two, at least micro_count; 0: micro_count.
    bool capacity_train; ///< Evaluate with capacity_factor_train.
    bool jitter_input, keep_internals, recompute;
    struct sy_optimizer_params optimizer; ///< TRAIN.
    const struct sy_layout
        *ranks; ///< Who else takes part; NULL: nobody. batch, slices and micro_count are this rank's.
    const struct sy_session *lender; ///< Borrow its parameters, or NULL. TRAIN: of another shape and the same slices
                                     ///< and micro-batches; steps of either go on from the other's.
    bool borrows;                    ///< sy_session_bytes(): there will be a lender.
};

/// Builds `*graph` (NULL before; to be destroyed by the caller in any case) and fills `model`, `loss` and `outputs`,
/// for a device with `caps`. Errors: INVALID slices, micro-batches or shapes that contradict each other · those of the
/// model and the graph.
SY_MUST_CHECK enum sy_status sy_assemble(struct sy_ctx *ctx, const struct sy_caps *caps,
                                         const struct sy_session_params *params, struct sy_graph **graph,
                                         struct sy_model *model, struct sy_loss *loss,
                                         struct sy_optimizer_outputs *outputs);
/// What sy_session_create() would allocate on a device with `caps`; nothing is allocated. Errors: those of graph and
/// plan.
SY_MUST_CHECK enum sy_status sy_session_bytes(struct sy_ctx *ctx, const struct sy_caps *caps,
                                              const struct sy_session_params *params, uint64_t *out_bytes);
