// SPDX-License-Identifier: Apache-2.0
// matmul_dw_dot: the variant `dot` of matmul_dw, of bf16 factors through AVX-512's products of pairs: matmul_dw_amx with
// vectors instead of tiles (amx.cl.h; WG is 1). Bindings and launch as there.
// Determinism: each output is a chain of sums of a pair of products each, over ascending rows from the slice's first.
#define DOT_BF16
#include "matmul_dw_pairs.cl.h"

KERNEL void matmul_dw_dot(__global const T *restrict y, __global const T *restrict x, __global const int *restrict off,
                          __global float *restrict w, const struct sy_matmul_dw_args p)
{
    matmul_dw_pairs(y, x, off, w, p);
}
