// SPDX-License-Identifier: Apache-2.0
// matmul_dw_amx: the variant `amx` of matmul_dw, of bf16 factors on the matrix unit of x86 CPUs (amx.cl.h; WG is 1).
// Bindings as in matmul_dw_blocks.cl.
// Launch: one work-group per (slice, expert, 48 rows of w, SY_GROUP_PANELS panels), as matmul_dw_blocks.
// Determinism: each output is a chain of sums of 32 products each, over ascending rows from the slice's first.
#include "matmul_dw_pairs.cl.h"

KERNEL void matmul_dw_amx(__global const T *restrict y, __global const T *restrict x, __global const int *restrict off,
                          __global float *restrict w, const struct sy_matmul_dw_args p)
{
    matmul_dw_pairs(y, x, off, w, p);
}
