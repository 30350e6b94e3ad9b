// SPDX-License-Identifier: Apache-2.0
// matmul_cores: matmul of bf16 factors on the matrix cores of Intel's and AMD's GPUs (cores.cl.h). Bindings as in matmul.cl.
// Launch: one work-group per (SY_CORES_ROWS rows of a row tile, SY_CORES_COLS columns). Dense, a tile is SY_CORES_ROWS rows.
// Determinism: each output is a chain of matrix-core products of 16 values of k each, over ascending k.
#include "blocks.cl.h"
#include "cores.cl.h"

SUB_GROUPS_OF_CORES
KERNEL void matmul_cores(__global const T *restrict a, __global const T *restrict b, __global const int *restrict tiles,
                         __global O *restrict c, const struct sy_matmul_args p)
{
    const struct block o = block_of(GROUP_ID, &p, tiles, SY_CORES_ROWS, SY_CORES_COLS, SY_CORES_BAND);
    const uint lid = LOCAL_ID, k = o.rows_left != 0 ? p.k : 0; // no rows: nothing to do, together
    __global const T *const own = b + o.own;

    CORES_LOCAL(slabs);
    EXCHANGE(exchange);
    C_PART sum[SUB_ROWS * SUB_COLS];
    const struct side x = {a + (size_t)o.row0 * p.k, p.k, 1, o.rows_left};
    const struct side y = {own + (p.bt != 0 ? (size_t)o.col0 * p.k : o.col0), p.bt != 0 ? p.k : p.n, p.bt, p.n - o.col0};
    multiply_sides(sum, x, y, k, slabs, lid, exchange);
    store_sums(c + (size_t)o.row0 * p.n + o.col0, p.n, o.rows_left, p.n - o.col0, lid, sum, p.alpha, p.accumulate);
}
