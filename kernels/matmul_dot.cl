// SPDX-License-Identifier: Apache-2.0
// matmul_dot: the variant `dot` of matmul, of bf16 factors through AVX-512's products of pairs: matmul_amx with
// vectors instead of tiles (amx.cl.h; WG is 1). Bindings and launch as there.
// Determinism: each output is a chain of sums of a pair of products each, over ascending k.
#define DOT_BF16
#include "matmul_pairs.cl.h"

KERNEL void matmul_dot(__global const T *restrict a, __global const T *restrict b, __global const int *restrict tiles,
                       __global O *restrict c, const struct sy_matmul_args p)
{
    matmul_pairs(a, b, tiles, c, p);
}
