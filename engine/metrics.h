// SPDX-License-Identifier: Apache-2.0
// metrics.h: losses and routing of a step, summed over its micro-batches. Private to session.c.
//
// Everything that is reported is a sum over tokens on the device (slices.h), in one tensor that the host reads once a
// training step. In evaluation it reads the sums of each slice, the least number of sequences that holds whole routing
// groups, and adds them up in double, in order: a score must not depend on how its text is cut. Layer: engine.
#pragma once

#include "engine/session.h"

/// What the device has summed up of a step.
struct sy_sums {
    double *values; ///< [count] as they lie in the pack of sums.
    float *staging; ///< [slices · count]
    uint64_t count;
};

/// Malloc'ed. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_sums_create(struct sy_ctx *ctx, const struct sy_graph *g, struct sy_sums **out);
void sy_sums_destroy(struct sy_sums **sums);
void sy_sums_clear(struct sy_sums *sums);
/// Adds what the device has: in training the whole step's sums, elsewhere those of the last micro-batch. Blocks.
SY_MUST_CHECK enum sy_status sy_sums_add(struct sy_session *s);
/// The step's metrics out of the sums; labels and tokens are filled already.
void sy_metrics_fill(const struct sy_session *s, const struct sy_step *step, struct sy_metrics *out);
