// SPDX-License-Identifier: Apache-2.0
// matmul_dw_packed: w[e][m][n] (+)= alpha · Σ_{r = off[e]}^{off[e+1]−1} y[r,m] · x[r,n], x in the panels of pack_b.
//   y    t [rows, M]
//   p    t [ceil(N/32)][rows][32]
//   off  i [E + 1]  first row of each expert (read when experts > 1)
//   w    f [E, M, N]
// Launch: one work-group per (expert, 48 rows of w, SY_GROUP_PANELS panels); an item computes 8 rows × 4 columns at a
//   time, straight from global memory.
// Determinism: each output is one chain of fma over ascending r.
#version 450
#undef O_BF16 // w is f32 whatever the activations are
#include "common.glsl"
#include "panel.glsl"

IN(0, T, y);
IN(1, T4, panels);
IN(2, int, off);
INOUT(3, O, w);
ARGS(sy_matmul_dw_args);

// Rows m0 … m0 + rows − 1 (at most 8) of one expert's w, columns 4·quad … 4·quad + 3 of panel q.
void multiply_quad(uint expert, uint first, uint end, uint m0, uint rows, uint q, uint quad)
{
    vec4 sum[UNIT_ROWS];
    [[unroll]] for (uint i = 0u; i < UNIT_ROWS; ++i)
        sum[i] = vec4(0.0);
    for (uint r0 = first; r0 < end; r0 += 64u) { // two loops: lavapipe ends one after 65,535 rounds
        const uint r1 = min(r0 + 64u, end);
        for (uint r = r0; r < r1; ++r) {
            const vec4 b = unpack4(panels[(q * p.rows + r) * PANEL_QUADS + quad]);
            [[unroll]] for (uint i = 0u; i < UNIT_ROWS; ++i) // surplus rows repeat the last one and are not stored
                sum[i] = fma(vec4(T_LD(y, r * p.m + m0 + min(i, rows - 1u))), b, sum[i]);
        }
    }
    const uint col = q * SY_PANEL + 4u * quad;
    [[unroll]] for (uint i = 0u; i < UNIT_ROWS; ++i)
        [[unroll]] for (uint j = 0u; j < 4u; ++j) {
            const uint at = (expert * p.m + m0 + i) * p.n + col + j;
            if (i < rows && col + j < p.n)
                w[at] = p.accumulate != 0u ? fma(p.alpha, sum[i][j], w[at]) : p.alpha * sum[i][j];
        }
}

void main()
{
    const uint count = (p.n + SY_PANEL - 1u) / SY_PANEL, down = (p.m + SY_TILE_ROWS_CPU - 1u) / SY_TILE_ROWS_CPU;
    const uint each = SY_GROUP_PANELS(WG, p.experts * down, count), across = (count + each - 1u) / each;
    GROUP_GUARD(p.experts * down * across);
    const uint lid = LOCAL_ID, m0 = GROUP_ID % down * SY_TILE_ROWS_CPU, rows = min(p.m - m0, SY_TILE_ROWS_CPU);
    const uint q0 = GROUP_ID / down % across * each, expert = GROUP_ID / down / across;
    uint first = 0u, end = p.rows;
    if (p.experts > 1u) {
        first = uint(off[expert]);
        end = uint(off[expert + 1u]);
    }
    const uint units = (rows + UNIT_ROWS - 1u) / UNIT_ROWS * PANEL_QUADS;
    for (uint q = q0; q < min(q0 + each, count); ++q)
        for (uint u = lid; u < units; u += WG) {
            const uint i0 = u / PANEL_QUADS * UNIT_ROWS;
            multiply_quad(expert, first, end, m0 + i0, min(rows - i0, UNIT_ROWS), q, u % PANEL_QUADS);
        }
}
