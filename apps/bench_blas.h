// SPDX-License-Identifier: Apache-2.0
// bench_blas.h: the rival of the matmul benchmark. bench_blas_stub.c takes its place in a build without OpenBLAS.
#pragma once

#include <stdint.h>

/// Seconds of one n×n×n single-precision product by OpenBLAS; 0 when it is not in this build.
double bench_blas_seconds(uint32_t n);
