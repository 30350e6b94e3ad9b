// SPDX-License-Identifier: Apache-2.0
// rate.h: the learning rate of step t (spec §8).
#pragma once

#include "hostlib/status.h"

enum sy_rate_kind {
    SY_RATE_RSQRT,    ///< peak / sqrt(max(t, warmup)): the paper's pre-training (peak 1, warmup 10000).
    SY_RATE_CONSTANT, ///< peak: the paper's fine-tuning (1e-3).
    SY_RATE_LINEAR,   ///< Linear warm-up to peak, then linear decay to 0 at `steps`.
    SY_RATE_COSINE,   ///< Linear warm-up to peak, then half a cosine to 0 at `steps`.
};

struct sy_rate {
    enum sy_rate_kind kind;
    double peak;
    uint64_t warmup, steps;
};

const char *sy_rate_name(enum sy_rate_kind kind); ///< "rsqrt", "constant", "linear", "cosine"
/// Learning rate of step t = 1, 2, …
double sy_rate_at(const struct sy_rate *rate, uint64_t t);
/// One of these names. Errors: INVALID naming the choices.
SY_MUST_CHECK enum sy_status sy_rate_parse(struct sy_ctx *ctx, const char *name, enum sy_rate_kind *out_kind);
