// SPDX-License-Identifier: Apache-2.0
// bench.h: what the rooms of switchyard-bench share: options and statistics.
#pragma once

#include "apps/cli.h"
#include "engine/lower.h"

struct bench_options {
    struct cli_common common;
    const char *what, *variant, *op, *args;
    uint64_t size, repeat, batch, src_len, tgt_len;
};

/// Sorts `values`.
double bench_median(double *values, size_t n);
/// The op's variant of that name (NULL: the one the device runs). Errors: INVALID there is none of that name, or the
/// device cannot run it (says what it lacks).
SY_MUST_CHECK enum sy_status bench_variant(struct sy_ctx *ctx, enum sy_op_id op, enum sy_op_types types,
                                           const struct sy_caps *caps, const char *name, const struct sy_variant **out);
/// Seconds of one run of phase MICRO, waited for.
SY_MUST_CHECK enum sy_status bench_run(struct sy_runtime *runtime, double *out);

/// bench_matmul.c
SY_MUST_CHECK enum sy_status bench_matmul(struct sy_ctx *ctx, struct sy_device *device, const struct bench_options *o,
                                          enum sy_precision precision);
SY_MUST_CHECK enum sy_status bench_grouped(struct sy_ctx *ctx, struct sy_device *device, const struct bench_options *o,
                                           enum sy_precision precision);
/// bench_op.c
SY_MUST_CHECK enum sy_status bench_op(struct sy_ctx *ctx, struct sy_device *device, const struct bench_options *o,
                                      enum sy_precision precision);
/// bench_step.c
SY_MUST_CHECK enum sy_status bench_step(struct sy_ctx *ctx, struct sy_device *device, const struct bench_options *o,
                                        enum sy_precision precision);
