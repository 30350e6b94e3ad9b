// SPDX-License-Identifier: Apache-2.0
// matmul_dw_coop.glsl: the body of matmul_dw_coop.comp and matmul_dw_coop_f16.comp: matmul_dw (its bindings) with the
// blocks of coop.glsl.
// Launch: one work-group per (slice, expert, BM rows, BN columns of w).
// Determinism: the order of sums is the driver's, the same in every run.
#undef O_BF16 // w is f32 whatever the activations are
#include "common.glsl"
#include "coop.glsl"

IN(0, T, y);
WIDE(0, y_wide);
IN(1, T, x);
WIDE(1, x_wide);
IN(2, int, off);
INOUT(3, O, w);
ARGS(sy_matmul_dw_args);

#define Y_FETCH(from) \
    FETCH(a_next, A_PIECES, BM, y, y_wide, (first + (from)) * p.m + row0, p.m, left_of(count, from), p.m - row0, whole)
#define X_FETCH(from) \
    FETCH(b_next, B_PIECES, BN, x, x_wide, (first + (from)) * p.n + col0, p.n, left_of(count, from), p.n - col0, whole)

void main()
{
    const uint across = (p.n + BN - 1u) / BN, down = (p.m + BM - 1u) / BM;
    GROUP_GUARD(p.slices * p.experts * down * across);
    const uint lid = LOCAL_ID, sub_x = gl_SubgroupID % GN, sub_y = gl_SubgroupID / GN;
    const uint plane = GROUP_ID / (down * across), slice = plane / p.experts;
    const uvec2 block = block_of(GROUP_ID % (down * across), down, across);
    const uint row0 = block.x * BM, col0 = block.y * BN;
    uint first = slice * (p.rows / p.slices), count = p.rows / p.slices;
    if (p.ragged != 0u) {
        const uint place = (p.first + plane % p.experts) * p.slices + slice;
        first = uint(off[place]);
        count = uint(off[place + 1u]) - first;
    }
    const bool whole = p.m % PIECE == 0u && p.n % PIECE == 0u;
    SUM sum[FM * FN];
    CLEAR(sum)
    PRODUCT(sum, count, DEPTH, M_LD, BM, Y_FETCH, DEPTH, N_LD, BN, X_FETCH)
    STORE_SUM(sum, w, (plane * p.m + row0) * p.n + col0, p.n, p.m - row0, p.n - col0, O_LD, O_ST)
}
