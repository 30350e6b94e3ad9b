// SPDX-License-Identifier: Apache-2.0
// schedule.h: the learning rate of step t (spec §8).
#pragma once

#include "hostlib/status.h"

enum sy_schedule_kind {
    SY_SCHEDULE_RSQRT,    ///< peak / sqrt(max(t, warmup)): the paper's pre-training (peak 1, warmup 10000).
    SY_SCHEDULE_CONSTANT, ///< peak: the paper's fine-tuning (1e-3).
    SY_SCHEDULE_LINEAR,   ///< Linear warm-up to peak, then linear decay to 0 at `steps`.
    SY_SCHEDULE_COSINE,   ///< Linear warm-up to peak, then half a cosine to 0 at `steps`.
};

struct sy_schedule {
    enum sy_schedule_kind kind;
    double peak;
    uint64_t warmup, steps;
};

/// Learning rate of step t = 1, 2, …
double sy_schedule_lr(const struct sy_schedule *schedule, uint64_t t);
/// "rsqrt", "constant", "linear", "cosine". Errors: INVALID naming the choices.
SY_MUST_CHECK enum sy_status sy_schedule_parse(struct sy_ctx *ctx, const char *name, enum sy_schedule_kind *out_kind);
