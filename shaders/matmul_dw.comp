// SPDX-License-Identifier: Apache-2.0
// matmul_dw: w[s][e][m][n] (+)= alpha · Σ y[r,m] · x[r,n] over the rows r of expert e in slice s, the gradient of a weight.
//   y    t [rows, M]
//   x    t [rows, N]
//   off  i [E·S + 1]  first row of each expert in each slice (read when ragged)
//   w    f [S, E, M, N]
// Launch: one work-group per (slice, expert, TILE_ROWS rows, TILE_COLS columns of w) (tile.glsl).
// Determinism: each output is one chain of fma over ascending r.
#version 450
#undef O_BF16 // w is f32 whatever the activations are
#include "common.glsl"

IN(0, T, y);
IN(1, T, x);
IN(2, int, off);
INOUT(3, O, w);
ARGS(sy_matmul_dw_args);
#include "tile.glsl"

void main()
{
    const uint across = (p.n + TILE_COLS - 1u) / TILE_COLS, down = (p.m + TILE_ROWS - 1u) / TILE_ROWS;
    GROUP_GUARD(p.slices * p.experts * down * across);
    const uint lid = LOCAL_ID, ix = lid % ITEMS_X, iy = lid / ITEMS_X;
    const uint col0 = GROUP_ID % across * TILE_COLS, row0 = GROUP_ID / across % down * TILE_ROWS;
    const uint plane = GROUP_ID / across / down, slice = plane / p.experts;
    uint first = slice * (p.rows / p.slices), end = first + p.rows / p.slices;
    if (p.ragged != 0u) {
        const uint place = (p.first + plane % p.experts) * p.slices + slice;
        first = uint(off[place]);
        end = uint(off[place + 1u]);
    }
    clear_item();
    for (uint r = first; r < end; r += SLAB) {
        LOAD_DEPTH(a_slab, A_LD, TILE_ROWS, y, r * p.m + row0, p.m, p.m - row0, end - r)
        LOAD_DEPTH(b_slab, B_LD, TILE_COLS, x, r * p.n + col0, p.n, p.n - col0, end - r)
        BARRIER();
        multiply_slab(ix, iy);
        BARRIER();
    }
    STORE_ITEM(w, (plane * p.m + row0) * p.n + col0, p.n, p.m - row0, p.n - col0, O_LD, O_ST)
}
