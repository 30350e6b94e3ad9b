// SPDX-License-Identifier: Apache-2.0
// matmul: c[m,n] = alpha · Σ_k a[m,k] · B_e[k,n] (+ c), dense or with a ragged range of rows per expert.
//   a      t [M, K]
//   b      t [E, N, K] if bt else [E, K, N]
//   tiles  i [tiles, 4]  expert, first row, end row, 0 (read when experts > 1 or of > 0)
//   c      o [M, N]
// Launch: one work-group per (row tile, TILE_COLS columns); it walks down the tile, TILE_ROWS at a time (tile.cl.h).
// Determinism: each output is one chain of fma over ascending k.
#include "common.cl.h"
#include "tile.cl.h"

MANY_SUMS
KERNEL void matmul(__global const T *restrict a, __global const T *restrict b, __global const int *restrict tiles,
                   __global O *restrict c, const struct sy_matmul_args p)
{
    const uint across = (p.n + TILE_COLS - 1) / TILE_COLS;
    GROUP_GUARD((p.experts > 1 || p.of != 0 ? p.tiles : (p.m + p.tile_rows - 1) / p.tile_rows) * across);
    const uint lid = LOCAL_ID, ix = lid % ITEMS_X, iy = lid / ITEMS_X;
    const uint tile = GROUP_ID / across, col0 = GROUP_ID % across * TILE_COLS;
    int expert = 0;
    uint first = tile * p.tile_rows, end = min(first + p.tile_rows, p.m);
    if (p.experts > 1 || p.of != 0) {
        expert = tiles[4 * tile] - (int)p.first; // of other parts: below 0, or too large
        expert = expert < (int)p.experts ? expert : -1;
        first = (uint)tiles[4 * tile + 1];
        end = expert < 0 ? first : (uint)tiles[4 * tile + 2]; // no rows: an empty loop, for the whole group
    }
    const uint stride = p.bt != 0 ? p.k : p.n, col_step = p.bt != 0 ? p.k : 1, k_step = p.bt != 0 ? 1 : p.n;
    __global const T *own = b + (size_t)max(expert, 0) * p.n * p.k + (size_t)col0 * col_step;

    __local float4 a_slab[A_SLAB / 4], b_slab[B_SLAB / 4];
    float sum[SY_ITEM * SY_ITEM];
    // One loop over (rows, k) rather than two: PoCL 3.1 cannot compile barriers in some nested loops (WG 2).
    const uint depth = slab_depth(p.k), slabs = (p.k + SLAB - 1) / SLAB;
    const uint steps = (end - first + TILE_ROWS - 1) / TILE_ROWS * slabs;
    for (uint step = 0; step < steps; ++step) {
        const uint row0 = first + step / slabs * TILE_ROWS, k = step % slabs * depth;
        if (k == 0)
            clear_item(sum);
        load_slab(a_slab, A_LD, TILE_ROWS, a + (size_t)row0 * p.k + k, p.k, true, end - row0, p.k - k, lid);
        load_slab(b_slab, B_LD, TILE_COLS, own + (size_t)k * k_step, stride, p.bt != 0, p.n - col0, p.k - k, lid);
        BARRIER();
        multiply_slab(a_slab, b_slab, ix, iy, min(depth, p.k - k), sum);
        BARRIER();
        if (k + depth >= p.k)
            store_item(c + (size_t)row0 * p.n + col0, p.n, end - row0, p.n - col0, ix, iy, sum, p.alpha, p.accumulate);
    }
}
