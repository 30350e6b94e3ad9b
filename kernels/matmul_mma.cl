// SPDX-License-Identifier: Apache-2.0
// matmul_mma: matmul of bf16 factors on NVIDIA's matrix cores (mma.cl.h). Bindings as in matmul.cl.
// Launch: one work-group per (MMA_ROWS rows of a row tile, MMA_COLS columns). Dense, a tile is MMA_ROWS rows.
// Determinism: each output is a chain of matrix-core products of 16 values of k each, over ascending k.
#include "blocks.cl.h"
#include "mma.cl.h"

KERNEL void matmul_mma(__global const T *restrict a, __global const T *restrict b, __global const int *restrict tiles,
                       __global O *restrict c, const struct sy_matmul_args p)
{
    const struct block o = block_of(GROUP_ID, &p, tiles, MMA_ROWS, MMA_COLS, SY_MMA_BAND);
    const uint lid = LOCAL_ID, k = o.rows_left != 0 ? p.k : 0; // no rows: nothing to do, together
    __global const T *const own = b + o.own;

    MMA_LOCAL(slabs);
    EXCHANGE(exchange);
    float sum[128];
    clear_sums(sum);
    const struct side x = {a + (size_t)o.row0 * p.k, p.k, 1, o.rows_left};
    const struct side y = {own + (p.bt != 0 ? (size_t)o.col0 * p.k : o.col0), p.bt != 0 ? p.k : p.n, p.bt, p.n - o.col0};
#ifdef PTX // two loops, each with one way to read B
    if (p.bt != 0)
        multiply_sides(sum, x, (struct side){y.at, p.k, 1, y.left}, k, slabs, lid, exchange);
    else
        multiply_sides(sum, x, (struct side){y.at, p.n, 0, y.left}, k, slabs, lid, exchange);
#else
    multiply_sides(sum, x, y, k, slabs, lid, exchange);
#endif
    store_sums(c + (size_t)o.row0 * p.n + o.col0, p.n, o.rows_left, p.n - o.col0, lid, sum, p.alpha, p.accumulate);
}
