// SPDX-License-Identifier: Apache-2.0
// bench_blas.h: the rivals of the matmul benchmark: OpenBLAS on the CPU, CLBlast on the OpenCL device that is measured.
//
// bench_blas_stub.c and bench_clblast_stub.c take their places in builds without them.
#pragma once

#include <time.h>

#include "hostlib/device.h"

/// Seconds of one n×n×n single-precision product by OpenBLAS; 0 when it is not in this build.
double bench_blas_seconds(uint32_t n, clockid_t clock);

struct bench_clblast;

/// Prepares CLBlast on the OpenCL device that `caps` describes: buffers, one product to compile its kernels (tens of
/// seconds on a CPU), and its answer checked. `*out` stays NULL when this build has no CLBlast or the device is not an
/// OpenCL one. Errors: DEVICE CLBlast or the driver failed, or the answer is wrong (GEMM of CLBlast before 1.6.3 is,
/// with some tunings).
SY_MUST_CHECK enum sy_status bench_clblast_open(struct sy_ctx *ctx, const struct sy_caps *caps, uint32_t n,
                                                struct bench_clblast **out);
/// Seconds of one n×n×n product, waited for; negative when it failed.
double bench_clblast_seconds(struct bench_clblast *rival);
void bench_clblast_close(struct bench_clblast **rival);
