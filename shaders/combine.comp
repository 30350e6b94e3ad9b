#version 450
// SPDX-License-Identifier: Apache-2.0
// combine: y[row] = Σ_r gate[row, r] · h[slot[row, r]] over slots ≥ 0; zeros for a token that no expert processed.
//   h [slots, dim] t · slot [rows, k] i32 · gate [rows, k] f32 · y [rows, dim] t
// Launch: one work-group does SY_ROWS(WG) rows. Sums in f32 by fma, r ascending.
#include "common.glsl"
#include "chunk.h"

IN4(0, T, h);
IN(1, int, slot);
IN(2, float, gate);
OUT4(3, T, y);
ARGS(sy_dispatch_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint row = first; row < first + count; ++row) {
        for (uint i = lid; i < p.dim / 4u && p.dim % 4u == 0u; i += WG) {
            vec4 sum = vec4(0.0);
            for (uint r = 0u; r < p.k; ++r) {
                const int at = slot[row * p.k + r];
                if (at >= 0)
                    sum = fma(vec4(gate[row * p.k + r]), T4_LD(h4, uint(at) * (p.dim / 4u) + i), sum);
            }
            T4_ST(y4, row * (p.dim / 4u) + i, sum);
        }
        for (uint i = lid; i < p.dim && p.dim % 4u != 0u; i += WG) {
            float sum = 0.0;
            for (uint r = 0u; r < p.k; ++r) {
                const int at = slot[row * p.k + r];
                if (at >= 0)
                    sum = fma(gate[row * p.k + r], T_LD(h, uint(at) * p.dim + i), sum);
            }
            T_ST(y, row * p.dim + i, sum);
        }
    }
}
