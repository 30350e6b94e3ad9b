// SPDX-License-Identifier: Apache-2.0
// evaluate.h: the metrics of a model on a whole dataset.
//
// Prints nothing: a caller that wants to say how far it is gives a callback. Layer: engine; threads: as the session.
#pragma once

#include "engine/session.h"

/// Called after each batch: `done` = 1 … `batches`.
typedef void (*sy_evaluate_fn)(void *user, uint64_t done, uint64_t batches);

struct sy_evaluate_params {
    const struct sy_dataset *data; ///< Opened in_order.
    uint32_t batch;                ///< Sequences of a batch.
    uint64_t most;                 ///< Score the first `most` sequences; 0: all.
    sy_evaluate_fn progress;       ///< May be NULL.
    void *user;
};

/// Evaluates in batches, each as one step of as many micro-batches as the session's shape makes of it: the result does
/// not depend on that shape. Losses are weighted by target tokens, routing by the layer's own tokens; load entropy and
/// fullest expert are means over the batches, and routing groups (group_tokens) never cross a batch. Blocks. Errors:
/// INVALID no batch size, there is no target token · NOMEM · those of sy_session_evaluate().
SY_MUST_CHECK enum sy_status sy_evaluate(struct sy_session *s, const struct sy_evaluate_params *params,
                                         struct sy_metrics *out);

/// A score over no target token would look like a perfect one. Errors: INVALID, naming `what`.
SY_MUST_CHECK enum sy_status sy_evaluate_check(struct sy_ctx *ctx, const char *what, const struct sy_metrics *m);
