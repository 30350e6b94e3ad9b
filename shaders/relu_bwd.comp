#version 450
// SPDX-License-Identifier: Apache-2.0
// relu_bwd: dx = dropout(dy) where x > 0, else 0; the mask is drawn again.
//   x, dy [rows, cols] t (x before the activation) · row [rows] i32 (indexed only, as in relu) · c · dx [rows, cols] t
// Launch: one work-group does SY_ROWS(WG) rows. Bit-equal everywhere.
#include "common.glsl"

IN4(0, T, x);
IN4(1, T, dy);
IN(2, int, row);
STEP(3);
OUT4(4, T, dx);
ARGS(sy_ffn_act_args);
#include "dropout.glsl"

void main()
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint r = first; r < first + count; ++r) {
        const drop_row d = make_ffn_row(p, p.indexed != 0u ? row[r] : int(r));
        for (uint quad = lid; quad < SY_PIECES(p.cols, 4u); quad += WG) {
            const vec4 factor = drop_factors(d, quad);
            if (p.cols % 4u == 0u) {
                const uint i = r * (p.cols / 4u) + quad;
                T4_ST(dx4, i, mix(vec4(0.0), kept(T4_LD(dy4, i), factor), greaterThan(T4_LD(x4, i), vec4(0.0))));
                continue;
            }
            const uint left = min(4u, p.cols - 4u * quad);
            for (uint j = 0u; j < left; ++j) {
                const uint at = r * p.cols + 4u * quad + j;
                T_ST(dx, at, T_LD(x, at) > 0.0 ? kept(T_LD(dy, at), factor[j]) : 0.0);
            }
        }
    }
}
