// SPDX-License-Identifier: Apache-2.0
// matmul_dw_mma: matmul_dw of bf16 factors on NVIDIA's matrix cores (mma.cl.h). Bindings as in matmul_dw.cl.
// Launch: one work-group per (slice, expert, MMA_ROWS rows, MMA_COLS columns of w).
// Determinism: each output is a chain of matrix-core products of 16 rows each, over ascending rows from the slice's first.
#undef O_BF16 // w is f32 whatever the activations are
#include "common.cl.h"
#include "mma.cl.h"

KERNEL void matmul_dw_mma(__global const T *restrict y, __global const T *restrict x, __global const int *restrict off,
                          __global float *restrict w, const struct sy_matmul_dw_args p)
{
    const uint across = (p.n + MMA_COLS - 1) / MMA_COLS, down = (p.m + MMA_ROWS - 1) / MMA_ROWS;
    GROUP_GUARD(p.slices * p.experts * down * across);
    const uint lid = LOCAL_ID;
    const uint col0 = GROUP_ID % across * MMA_COLS, row0 = GROUP_ID / across % down * MMA_ROWS;
    const uint plane = GROUP_ID / across / down, slice = plane / p.experts;
    const uint place = (p.first + plane % p.experts) * p.slices + slice, each = p.rows / p.slices;
    const uint first = p.ragged != 0 ? (uint)off[place] : slice * each;
    const uint end = p.ragged != 0 ? (uint)off[place + 1] : first + each;

    MMA_LOCAL(slabs);
    EXCHANGE(exchange);
    float sum[128];
    clear_sums(sum);
    const struct side a = {y + (size_t)first * p.m + row0, p.m, 0, p.m - row0};
    const struct side b = {x + (size_t)first * p.n + col0, p.n, 0, p.n - col0};
    multiply_sides(sum, a, b, end - first, slabs, lid, exchange);
    store_sums(w + ((size_t)plane * p.m + row0) * p.n + col0, p.n, p.m - row0, p.n - col0, lid, sum, p.alpha,
               p.accumulate);
}
