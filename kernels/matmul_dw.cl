// SPDX-License-Identifier: Apache-2.0
// matmul_dw: w[s][e][m][n] (+)= alpha · Σ y[r,m] · x[r,n] over the rows r of expert e in slice s, the gradient of a weight.
//   y    t [rows, M]
//   x    t [rows, N]
//   off  i [E·S + 1]  first row of each expert in each slice (read when ragged)
//   w    f [S, E, M, N]
// Launch: one work-group per (slice, expert, TILE_ROWS rows, TILE_COLS columns of w) (tile.cl.h).
// Determinism: each output is one chain of fma over ascending r.
#undef O_BF16 // w is f32 whatever the activations are
#include "common.cl.h"
#include "tile.cl.h"

MANY_SUMS
KERNEL void matmul_dw(__global const T *restrict y, __global const T *restrict x, __global const int *restrict off,
                      __global float *restrict w, const struct sy_matmul_dw_args p)
{
    const uint across = (p.n + TILE_COLS - 1) / TILE_COLS, down = (p.m + TILE_ROWS - 1) / TILE_ROWS;
    GROUP_GUARD(p.slices * p.experts * down * across);
    const uint lid = LOCAL_ID, ix = lid % ITEMS_X, iy = lid / ITEMS_X;
    const uint col0 = GROUP_ID % across * TILE_COLS, row0 = GROUP_ID / across % down * TILE_ROWS;
    const uint plane = GROUP_ID / across / down, slice = plane / p.experts;
    const uint place = (p.first + plane % p.experts) * p.slices + slice, each = p.rows / p.slices;
    const uint first = p.ragged != 0 ? (uint)off[place] : slice * each;
    const uint end = p.ragged != 0 ? (uint)off[place + 1] : first + each;

    __local float4 a_slab[A_SLAB / 4], b_slab[B_SLAB / 4];
    float sum[SY_ITEM * SY_ITEM];
    clear_item(sum);
    const uint depth = slab_depth(end - first);
    uint r = first;
    do { // at least once, with zeros: a way around the loop would need its own 64 sums on GPUs without branches
        load_slab(a_slab, A_LD, TILE_ROWS, y + (size_t)r * p.m + row0, p.m, false, p.m - row0, end - r, lid);
        load_slab(b_slab, B_LD, TILE_COLS, x + (size_t)r * p.n + col0, p.n, false, p.n - col0, end - r, lid);
        BARRIER();
        multiply_slab(a_slab, b_slab, ix, iy, min(depth, end - r), sum);
        BARRIER();
        r += depth;
    } while (r < end);
    store_item(w + ((size_t)plane * p.m + row0) * p.n + col0, p.n, p.m - row0, p.n - col0, ix, iy, sum, p.alpha,
               p.accumulate);
}
