// SPDX-License-Identifier: Apache-2.0
// matmul_dot_few: the variant `dot_few` of matmul, matmul_dot with B as it is stored, [N][K]: each row tile makes the pairs
// of a panel for itself, in private memory, as matmul_few does (WG is 1). b: t [E][N][K]; other bindings and launch as there.
// Determinism: each output is a chain of sums of a pair of products each, over ascending k: matmul_dot's bits.
#define DOT_BF16
#define ROWS_OF_B
#include "matmul_pairs.cl.h"

KERNEL void matmul_dot_few(__global const T *restrict a, __global const T *restrict b, __global const int *restrict tiles,
                           __global O *restrict c, const struct sy_matmul_args p)
{
    matmul_pairs(a, b, tiles, c, p);
}
