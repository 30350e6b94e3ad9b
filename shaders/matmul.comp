// SPDX-License-Identifier: Apache-2.0
// matmul: c[m,n] = alpha · Σ_k a[m,k] · B_e[k,n] (+ c), dense or with a ragged range of rows per expert.
//   a      t [M, K]
//   b      t [E, N, K] if bt else [E, K, N]
//   tiles  i [tiles, 4]  expert, first row, end row, 0 (read when experts > 1 or of > 0)
//   c      o [M, N]
// Launch: one work-group per (row tile, TILE_COLS columns); it walks down the tile in steps of TILE_ROWS (tile.glsl).
// Determinism: each output is one chain of fma over ascending k.
#version 450
#include "common.glsl"

IN(0, T, a);
IN(1, T, b);
IN(2, int, tiles);
INOUT(3, O, c);
ARGS(sy_matmul_args);
#include "tile.glsl"

void main()
{
    const uint across = (p.n + TILE_COLS - 1u) / TILE_COLS;
    GROUP_GUARD((p.experts > 1u || p.of != 0u ? p.tiles : (p.m + p.tile_rows - 1u) / p.tile_rows) * across);
    const uint lid = LOCAL_ID, ix = lid % ITEMS_X, iy = lid / ITEMS_X;
    const uint tile = GROUP_ID / across, col0 = GROUP_ID % across * TILE_COLS;
    int expert = 0;
    uint first = tile * p.tile_rows, end = min(first + p.tile_rows, p.m);
    if (p.experts > 1u || p.of != 0u) {
        expert = tiles[4u * tile] - int(p.first); // of other parts: below 0, or too large
        expert = expert < int(p.experts) ? expert : -1;
        first = uint(tiles[4u * tile + 1u]);
        end = expert < 0 ? first : uint(tiles[4u * tile + 2u]); // no rows: an empty loop, for the whole group
    }
    const uint stride = p.bt != 0u ? p.k : p.n;
    const uint own = uint(max(expert, 0)) * p.n * p.k + col0 * (p.bt != 0u ? p.k : 1u);

    for (uint row0 = first; row0 < end; row0 += TILE_ROWS) {
        clear_item();
        for (uint k0 = 0u; k0 < p.k; k0 += SLAB) {
            LOAD_LINES(a_slab, A_LD, TILE_ROWS, a, row0 * p.k + k0, p.k, end - row0, p.k - k0)
            if (p.bt != 0u)
                LOAD_LINES(b_slab, B_LD, TILE_COLS, b, own + k0, stride, p.n - col0, p.k - k0)
            else
                LOAD_DEPTH(b_slab, B_LD, TILE_COLS, b, own + k0 * stride, stride, p.n - col0, p.k - k0)
            BARRIER();
            multiply_slab(ix, iy);
            BARRIER();
        }
        STORE_ITEM(c, row0 * p.n + col0, p.n, end - row0, p.n - col0, O_LD, O_ST)
    }
}
