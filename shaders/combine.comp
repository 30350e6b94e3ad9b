#version 450
// SPDX-License-Identifier: Apache-2.0
// combine: y[row] = Σ_r gate[row, r] · h[slot[row, r]] over slots ≥ 0; zeros for a token that no expert processed.
//   h [slots, dim] t · slot [rows, k] i32 · gate [rows, k] f32 · y [rows, dim] t
// Launch: one work-group does SY_ROWS(WG) rows. Sums in f32 by fma, r ascending.
#include "common.glsl"
#include "chunk.h"

IN(0, T, h);
IN(1, int, slot);
IN(2, float, gate);
OUT(3, T, y);
ARGS(sy_dispatch_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint row = first; row < first + count; ++row) {
        for (uint i = lid; i < p.dim; i += WG) {
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
