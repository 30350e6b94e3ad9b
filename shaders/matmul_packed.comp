// SPDX-License-Identifier: Apache-2.0
// matmul_packed: c[m,n] = alpha · Σ_k a[m,k] · B_e[k,n] (+ c), with B in the panels that pack_b writes.
//   a      t [M, K]
//   p      t [E][ceil(N/32)][K][32]
//   tiles  i [tiles, 4]  expert, first row, end row, 0 (read when experts > 1)
//   c      o [M, N]
// Launch: one work-group per (row tile, SY_GROUP_PANELS panels); an item computes 8 rows × 4 columns at a time,
//   straight from global memory.
// Determinism: each output is one chain of fma over ascending k.
#version 450
#include "common.glsl"
#include "panel.glsl"

IN(0, T, a);
IN(1, T4, panels);
IN(2, int, tiles);
INOUT(3, O, c);
ARGS(sy_matmul_args);

// Rows row0 … row0 + rows − 1 (at most 8), columns 4·quad … 4·quad + 3 of the panel that starts at panels[base].
void multiply_quad(uint base, uint row0, uint rows, uint col0, uint quad)
{
    vec4 sum[UNIT_ROWS];
    uint start[UNIT_ROWS];
    [[unroll]] for (uint r = 0u; r < UNIT_ROWS; ++r) {
        sum[r] = vec4(0.0);
        start[r] = (row0 + min(r, rows - 1u)) * p.k; // surplus rows repeat the last one and are not stored
    }
    for (uint k0 = 0u; k0 < p.k; k0 += 64u) { // two loops: lavapipe ends one after 65,535 rounds
        const uint k1 = min(k0 + 64u, p.k);
        for (uint k = k0; k < k1; ++k) {
            const vec4 b = unpack4(panels[base + k * PANEL_QUADS + quad]);
            [[unroll]] for (uint r = 0u; r < UNIT_ROWS; ++r)
                sum[r] = fma(vec4(T_LD(a, start[r] + k)), b, sum[r]);
        }
    }
    const uint col = col0 + 4u * quad;
    [[unroll]] for (uint r = 0u; r < UNIT_ROWS; ++r)
        [[unroll]] for (uint j = 0u; j < 4u; ++j) {
            const uint at = (row0 + r) * p.n + col + j;
            if (r < rows && col + j < p.n)
                O_ST(c, at, p.accumulate != 0u ? fma(p.alpha, sum[r][j], O_LD(c, at)) : p.alpha * sum[r][j]);
        }
}

void main()
{
    const uint count = (p.n + SY_PANEL - 1u) / SY_PANEL;
    const uint total = p.experts > 1u ? p.tiles : (p.m + p.tile_rows - 1u) / p.tile_rows;
    const uint each = SY_GROUP_PANELS(WG, total, count), across = (count + each - 1u) / each;
    GROUP_GUARD(total * across);
    const uint lid = LOCAL_ID, tile = GROUP_ID / across, q0 = GROUP_ID % across * each;
    int expert = 0;
    uint first = tile * p.tile_rows, end = min(first + p.tile_rows, p.m);
    if (p.experts > 1u) {
        expert = tiles[4u * tile];
        first = uint(tiles[4u * tile + 1u]);
        end = uint(tiles[4u * tile + 2u]);
    }
    if (expert < 0)
        return; // no barriers follow
    const uint units = (end - first + UNIT_ROWS - 1u) / UNIT_ROWS * PANEL_QUADS;
    for (uint q = q0; q < min(q0 + each, count); ++q)
        for (uint u = lid; u < units; u += WG) {
            const uint row0 = first + u / PANEL_QUADS * UNIT_ROWS;
            multiply_quad((uint(expert) * count + q) * p.k * PANEL_QUADS, row0, min(end - row0, UNIT_ROWS),
                          q * SY_PANEL, u % PANEL_QUADS);
        }
}
