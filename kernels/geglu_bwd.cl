// SPDX-License-Identifier: Apache-2.0
// geglu_bwd: dx0 = dropout(dy · x1 · f'(x0)), dx1 = dropout(dy · f(x0)); the mask is drawn again.
//   x [rows, 2·cols] t · dy [rows, cols] t · row [rows] i32 (indexed only, as in geglu) · c · dx [rows, 2·cols] t
// Launch: one work-group does SY_ROWS(WG) rows. No reduction.
#include "common.cl.h"
#include "dropout.cl.h"
#include "activation.cl.h"

KERNEL void geglu_bwd(__global const T *restrict x, __global const T *restrict dy, __global const int *restrict row,
                      __constant struct sy_step *c, __global T *restrict dx, const struct sy_ffn_act_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint r = first; r < first + count; ++r) {
        const struct drop_row d = ffn_row(c, p, row, r);
        for (uint col = lid * DROP_COLS; col < p.cols; col += WG * DROP_COLS) {
            const uint at = r * p.cols + col, gate = 2u * r * p.cols + col, linear = gate + p.cols;
            VF factor[DROP_VECS];
            drop_factors(&d, col, factor);
            if (col + DROP_COLS <= p.cols) {
                for (uint v = 0u; v < DROP_VECS; ++v) {
                    const VF a = T_LDV(x, gate + v * VEC), b = T_LDV(x, linear + v * VEC), g = T_LDV(dy, at + v * VEC);
                    const VF s = act_share_v(p.act, a);
                    T_STV(dx, gate + v * VEC, kept_v(g * b * act_slope_v(p.act, a, s), factor[v]));
                    T_STV(dx, linear + v * VEC, kept_v(g * a * s, factor[v]));
                }
            } else {
                float f[DROP_COLS];
                drop_scalars(factor, f);
                DROP_TAIL (j, p.cols - col) {
                    const float a = T_LD(x, gate + j), b = T_LD(x, linear + j), g = T_LD(dy, at + j);
                    const float s = act_share(p.act, a);
                    T_ST(dx, gate + j, kept(g * b * act_slope(p.act, a, s), f[j]));
                    T_ST(dx, linear + j, kept(g * a * s, f[j]));
                }
            }
        }
    }
}
