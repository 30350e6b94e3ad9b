// SPDX-License-Identifier: Apache-2.0
// matmul_amx: the variant `amx` of matmul, of bf16 factors on the matrix unit of x86 CPUs (amx.cl.h; WG is 1), with B in
// pairs from pack_b where it is stored [N][K], else as it is. Bindings as in matmul_packed.cl.
// Launch: one work-group per (row tile, SY_GROUP_PANELS panels), as matmul_packed.
// Determinism: each output is a chain of sums of 32 products each, over ascending k.
#include "matmul_pairs.cl.h"

KERNEL void matmul_amx(__global const T *restrict a, __global const T *restrict b, __global const int *restrict tiles,
                       __global O *restrict c, const struct sy_matmul_args p)
{
    matmul_pairs(a, b, tiles, c, p);
}
