// SPDX-License-Identifier: Apache-2.0
// plan_record.h: a training step made ready on a real device, short of running it (switchyard-plan --device).
#pragma once

#include "engine/session.h"

struct plan_recorded {
    size_t dispatches; ///< Of one step with one micro-batch.
    size_t kernels;    ///< Compiled.
    uint64_t bytes;    ///< Allocated on the device.
};

/// Plans, allocates, compiles, uploads constants and records what sy_session_step() would submit; runs none of it.
SY_MUST_CHECK enum sy_status plan_record(struct sy_ctx *ctx, struct sy_device *device,
                                         const struct sy_session_params *params, struct plan_recorded *out);
