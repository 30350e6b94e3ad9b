// SPDX-License-Identifier: Apache-2.0
// metrics.h: losses and routing of a step, summed over its micro-batches. Private to session.c.
//
// Everything that is reported is a sum over tokens on the device (slices.h), in one tensor that the host reads once a
// training step. Reads are started behind the work that makes the sums and taken when the next work is queued: two can
// be under way. In evaluation it reads the sums of each slice, the least number of sequences that holds whole routing
// groups, and adds them up in double, in order: a score must not depend on how its text is cut. Layer: engine.
#pragma once

#include "engine/session_private.h"

/// Sums, and an update's clip, on their way from the device.
struct sy_download {
    struct sy_event *sums, *clip; ///< NULL: not asked for.
    void *staging, *clip_staging; ///< [slices · count] and [2] in the device's own element type.
};

/// What the device has summed up of a step.
struct sy_sums {
    double *values; ///< [count] as they lie in the pack of sums.
    uint64_t count;
    struct sy_download downloads[SY_FLIGHTS];
};

/// Malloc'ed. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_sums_create(struct sy_ctx *ctx, const struct sy_graph *g, struct sy_sums **out);
void sy_sums_destroy(struct sy_sums **sums);
void sy_sums_clear(struct sy_sums *sums);
/// Waits for downloads that nobody will take.
void sy_sums_forget(struct sy_sums *sums);
/// Starts reading what the device will have when it is done with what is queued: in training the whole step's sums,
/// elsewhere those of the last micro-batch. `flight`: which of the downloads; free.
SY_MUST_CHECK enum sy_status sy_sums_start(struct sy_session *s, uint32_t flight);
/// Waits for a download and adds it; the gradient norm in `out_norm`, if there is one. It is free then.
SY_MUST_CHECK enum sy_status sy_sums_take(struct sy_session *s, uint32_t flight, double *out_norm);
/// Evaluation: adds the other ranks' sums, in the order of the ranks. Errors: COMM.
SY_MUST_CHECK enum sy_status sy_sums_share(struct sy_session *s);
/// The step's metrics out of the sums; labels and tokens are filled already.
void sy_metrics_fill(const struct sy_session *s, const struct sy_step *step, struct sy_metrics *out);
