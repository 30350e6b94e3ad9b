#version 450
// SPDX-License-Identifier: Apache-2.0
// geglu: y = dropout(f(x0) · x1), x0 and x1 the two halves of a row of x; f is p.act, gelu_tanh or another one.
//   x [rows, 2·cols] t · row [rows] i32 (indexed only: src of the slot, −1 = unused, y gets zeros;
//   indexed 2: is left alone) · c · y [rows, cols] t
// Launch: one work-group does SY_ROWS(WG) rows. Masks are bit-equal everywhere and follow the token, not the slot.
#include "common.glsl"

IN(0, T, x);
IN(1, int, row);
STEP(2);
OUT(3, T, y);
ARGS(sy_ffn_act_args);
#include "dropout.glsl"

#include "activation.glsl"

void main()
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint r = first; r < first + count; ++r) {
        if (p.indexed == 2u && row[r] < 0)
            continue;
        const drop_row d = make_ffn_row(p, p.indexed != 0u ? row[r] : int(r));
        for (uint quad = lid; quad < SY_PIECES(p.cols, 4u); quad += WG) {
            const vec4 factor = drop_factors(d, quad);
            const uint left = min(4u, p.cols - 4u * quad);
            for (uint j = 0u; j < left; ++j) {
                const uint col = 4u * quad + j, gate = 2u * r * p.cols + col;
                const float a = T_LD(x, gate);
                T_ST(y, r * p.cols + col, kept(a * act_share(p.act, a) * T_LD(x, gate + p.cols), factor[j]));
            }
        }
    }
}
