#version 450
// SPDX-License-Identifier: Apache-2.0
// geglu_bwd: dx0 = dropout(dy · x1 · f'(x0)), dx1 = dropout(dy · f(x0)); the mask is drawn again.
//   x [rows, 2·cols] t · dy [rows, cols] t · row [rows] i32 (indexed only, as in geglu) · c · dx [rows, 2·cols] t
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
                const uint col = 4u * quad + j, gate = 2u * r * p.cols + col, linear = gate + p.cols;
                const float a = T_LD(x, gate), b = T_LD(x, linear), g = T_LD(dy, r * p.cols + col);
                const float s = act_share(p.act, a);
                T_ST(dx, gate, kept(g * b * act_slope(p.act, a, s), factor[j]));
                T_ST(dx, linear, kept(g * a * s, factor[j]));
            }
        }
    }
}
