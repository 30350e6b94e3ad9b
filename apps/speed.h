// SPDX-License-Identifier: Apache-2.0
// speed.h: how fast a device does an expert's products, forward and backward: what shares of unlike devices follow
// from.
#pragma once

#include "engine/config.h"
#include "engine/graph.h"
#include "engine/runtime.h"
#include "hostlib/cache.h"

/// A measurement that is ready to begin.
struct speed {
    struct sy_graph *graph;
    struct sy_runtime *runtime;
    double flops; ///< Of one go.
};

/// What a figure depends on: the device, its driver, the kernels that it runs, the shape of an expert. Errors: those of
/// choosing kernels (variant.h).
SY_MUST_CHECK enum sy_status speed_kind(struct sy_ctx *ctx, const struct sy_caps *caps, const struct sy_config *config,
                                        enum sy_precision precision, uint8_t out[SY_CACHE_KEY_BYTES]);
/// A figure that was kept, FLOP/s; 0: there is none.
double speed_kept(struct sy_ctx *ctx, const uint8_t key[SY_CACHE_KEY_BYTES]);
void speed_keep(struct sy_ctx *ctx, const uint8_t key[SY_CACHE_KEY_BYTES], double rate);
/// Compiles and warms up; `*out` must be closed in any case. Errors: those of runtime.h.
SY_MUST_CHECK enum sy_status speed_open(struct sy_ctx *ctx, struct sy_device *device, const struct sy_config *config,
                                        enum sy_precision precision, struct speed *out);
/// Works for half a second, or for one go where that is longer. FLOP/s.
SY_MUST_CHECK enum sy_status speed_take(struct speed *s, double *out_rate);
void speed_close(struct speed *s);
