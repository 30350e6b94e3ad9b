// SPDX-License-Identifier: Apache-2.0
// matmul_coop.glsl: the body of matmul_coop.comp and matmul_coop_f16.comp: matmul (its bindings) with the blocks of
// coop.glsl. A tile of rows is cut into blocks; one that has fewer ends early.
// Launch: one work-group per (row tile, block of it, BN columns).
// Determinism: the order of sums is the driver's, the same in every run.
#include "common.glsl"
#include "coop.glsl"

IN(0, T, a);
WIDE(0, a_wide);
IN(1, T, b);
WIDE(1, b_wide);
IN(2, int, tiles);
INOUT(3, O, c);
ARGS(sy_matmul_args);

#define A_FETCH(from) FETCH(a_next, A_PIECES, BK, a, a_wide, row0 * p.k + (from), p.k, end - row0, left_of(p.k, from), whole)
#define BT_FETCH(from) FETCH(b_next, B_PIECES, BK, b, b_wide, own + (from), p.k, p.n - col0, left_of(p.k, from), whole)
#define B_FETCH(from) FETCH(b_next, B_PIECES, BN, b, b_wide, own + (from) * p.n, p.n, left_of(p.k, from), p.n - col0, whole)

void main()
{
    const bool ragged = p.experts > 1u || p.of != 0u;
    const uint across = (p.n + BN - 1u) / BN, cuts = ragged ? (p.tile_rows + BM - 1u) / BM : 1u;
    const uint down = ragged ? p.tiles * cuts : (p.m + BM - 1u) / BM;
    GROUP_GUARD(down * across);
    const uint lid = LOCAL_ID, sub_x = gl_SubgroupID % GN, sub_y = gl_SubgroupID / GN;
    const uvec2 block = block_of(GROUP_ID, down, across);
    uint expert = 0u, row0 = block.x * BM, end = p.m;
    if (ragged) {
        const uint tile = block.x / cuts;
        expert = uint(tiles[4u * tile]) - p.first; // nothing, or of other parts: too large
        row0 = uint(tiles[4u * tile + 1u]) + block.x % cuts * BM;
        end = expert < p.experts ? uint(tiles[4u * tile + 2u]) : 0u;
    }
    if (row0 >= end)
        return; // the whole group
    const uint col0 = block.y * BN;
    const uint own = expert * p.n * p.k + col0 * (p.bt != 0u ? p.k : 1u);
    const bool whole = p.k % PIECE == 0u && (p.bt != 0u || p.n % PIECE == 0u);
    SUM sum[FM * FN];
    CLEAR(sum)
    if (p.bt != 0u)
        PRODUCT(sum, p.k, LINES, K_LD, BK, A_FETCH, LINES, K_LD, BK, BT_FETCH)
    else
        PRODUCT(sum, p.k, LINES, K_LD, BK, A_FETCH, DEPTH, N_LD, BN, B_FETCH)
    STORE_SUM(sum, c, row0 * p.n + col0, p.n, end - row0, p.n - col0, O_LD, O_ST)
}
