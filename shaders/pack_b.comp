// SPDX-License-Identifier: Apache-2.0
// pack_b: cuts the transpose of b into panels of 32 columns: p[e][q][k][j] = b[e][32·q + j][k], 0 beyond column N.
//   b  t [batch][N][K]
//   p  t [batch][ceil(N/32)][K][32]; with `pairs` [batch][ceil(N/32)][ceil(K/2)][32][2]: k and k + 1 side by side
// Launch: one work-group per (batch, panel, SY_PACK_ROWS values of k); 32 × 32 blocks go through shared memory.
// Determinism: copies bits.
#version 450
#include "common.glsl"
#include "tiles.h"

IN(0, T, b);
OUT(1, T, panels);
ARGS(sy_pack_b_args);

#ifdef T_BF16
#define BITS(x) uint(x)
#define FROM_BITS(x) uint16_t(x)
#else
#define BITS(x) floatBitsToUint(x)
#define FROM_BITS(x) uintBitsToFloat(x)
#endif

shared uint block[32 * 33]; // one column more than used: no bank conflicts either way

void main()
{
    const uint depth = SY_PACK_ROWS(WG), count = (p.n + SY_PANEL - 1u) / SY_PANEL, slabs = (p.k + depth - 1u) / depth;
    GROUP_GUARD(p.batch * count * slabs);
    const uint lid = LOCAL_ID, k0 = GROUP_ID % slabs * depth, k1 = min(k0 + depth, p.k);
    const uint q = GROUP_ID / slabs % count, e = GROUP_ID / slabs / count;
    const uint whole = p.pairs != 0u ? (p.k + 1u) / 2u * 2u : p.k; // of a panel

    for (uint k = k0; k < k1; k += 32u) {
        for (uint i = lid; i < 1024u; i += WG) { // neighbours read along b's rows
            const uint dk = i % 32u, j = i / 32u, col = q * SY_PANEL + j;
            block[dk * 33u + j] = 0u;
            if (k + dk < k1 && col < p.n)
                block[dk * 33u + j] = BITS(b[(e * p.n + col) * p.k + k + dk]);
        }
        BARRIER();
        for (uint i = lid; i < 1024u; i += WG) {
            const uint dk = p.pairs != 0u ? i / 64u * 2u + i % 2u : i / 32u, j = p.pairs != 0u ? i / 2u % 32u : i % 32u;
            if (k + dk < k0 + depth && k + dk < whole)
                panels[((e * count + q) * whole + k) * SY_PANEL + i] = FROM_BITS(block[dk * 33u + j]);
        }
        BARRIER();
    }
}
