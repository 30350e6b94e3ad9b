// SPDX-License-Identifier: Apache-2.0
// matmul_dw_mma: matmul_dw of bf16 factors on NVIDIA's matrix cores (mma.cl.h). Bindings as in matmul_dw.cl.
// Launch: one work-group per (slice, expert, MMA_ROWS rows, MMA_COLS columns of w).
// Determinism: each output is a chain of matrix-core products of 16 rows each, over ascending rows from the slice's first.
#undef O_BF16 // w is f32 whatever the activations are
#include "blocks.cl.h"
#include "mma.cl.h"

KERNEL void matmul_dw_mma(__global const T *restrict y, __global const T *restrict x, __global const int *restrict off,
                          __global float *restrict w, const struct sy_matmul_dw_args p)
{
    const struct dw_block o = dw_block_of(GROUP_ID, &p, off, MMA_ROWS, MMA_COLS);
    const uint lid = LOCAL_ID;

    MMA_LOCAL(slabs);
    EXCHANGE(exchange);
    float sum[128];
    clear_sums(sum);
    const struct side a = {y + (size_t)o.first * p.m + o.row0, p.m, 0, p.m - o.row0};
    const struct side b = {x + (size_t)o.first * p.n + o.col0, p.n, 0, p.n - o.col0};
    multiply_sides(sum, a, b, o.end - o.first, slabs, lid, exchange);
    store_sums(w + ((size_t)o.plane * p.m + o.row0) * p.n + o.col0, p.n, p.m - o.row0, p.n - o.col0, lid, sum, p.alpha,
               p.accumulate);
}
