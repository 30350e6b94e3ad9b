#version 450
// SPDX-License-Identifier: Apache-2.0
// act_bwd: dx = dropout(dy · f'(x)); the mask is drawn again.
//   x, dy [rows, cols] t (x before the activation) · row [rows] i32 (indexed only, as in act) · c · dx [rows, cols] t
// Launch: one work-group does SY_ROWS(WG) rows. No reduction.
#include "common.glsl"

IN(0, T, x);
IN(1, T, dy);
IN(2, int, row);
STEP(3);
OUT(4, T, dx);
ARGS(sy_ffn_act_args);
#include "dropout.glsl"

#include "activation.glsl"

void main()
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint r = first; r < first + count; ++r) {
        const drop_row d = make_ffn_row(p, p.indexed != 0u ? row[r] : int(r));
        for (uint quad = lid; quad < SY_PIECES(p.cols, 4u); quad += WG) {
            const vec4 factor = drop_factors(d, quad);
            const uint left = min(4u, p.cols - 4u * quad);
            for (uint j = 0u; j < left; ++j) {
                const uint at = r * p.cols + 4u * quad + j;
                const float a = T_LD(x, at), slope = act_slope(p.act, a, act_share(p.act, a));
                T_ST(dx, at, kept(T_LD(dy, at) * slope, factor[j]));
            }
        }
    }
}
