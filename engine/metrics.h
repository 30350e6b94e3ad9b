// SPDX-License-Identifier: Apache-2.0
// metrics.h: losses and routing of a step, summed over its micro-batches. Private to session.c.
//
// In training the device keeps the sums of the losses; loads, places and gates are those of its last micro-batch, so
// the host reads and adds them up before the next one overwrites them. In evaluation the host also adds up the losses,
// row by row in double: a sum in f32 of sums would depend on how the rows are cut, and a score must not. Layer: engine.
#pragma once

#include "engine/session.h"

/// One sparse layer's sums since sy_sums_clear().
struct sy_layer_sums {
    double tokens, lost;      ///< Tokens that are no padding; those of them that no expert processed.
    double gates, gate_count; ///< Gates of the chosen experts (top2: of the first choice).
    double aux, z;            ///< Evaluation: Σ of the groups' losses.
    double *load;             ///< [experts]
};

/// One entry per sparse layer of the model; malloc'ed. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_sums_create(struct sy_ctx *ctx, const struct sy_model *model,
                                            struct sy_layer_sums **out);
void sy_sums_destroy(struct sy_layer_sums **sums);
void sy_sums_clear(struct sy_session *s);
/// Adds the micro-batch that ran last, which was `batch`. Blocks.
SY_MUST_CHECK enum sy_status sy_sums_add(struct sy_session *s, const struct sy_batch *batch);
/// The step's metrics out of the sums and the device's losses; labels and tokens are filled already. Blocks.
SY_MUST_CHECK enum sy_status sy_metrics_read(struct sy_session *s, const struct sy_step *step, struct sy_metrics *out);
