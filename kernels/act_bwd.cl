// SPDX-License-Identifier: Apache-2.0
// act_bwd: dx = dropout(dy · f'(x)); the mask is drawn again.
//   x, dy [rows, cols] t (x before the activation) · row [rows] i32 (indexed only, as in act) · c · dx [rows, cols] t
// Launch: one work-group does SY_ROWS(WG) rows. No reduction.
#include "common.cl.h"
#include "dropout.cl.h"
#include "activation.cl.h"

KERNEL void act_bwd(__global const T *restrict x, __global const T *restrict dy, __global const int *restrict row,
                     __constant struct sy_step *c, __global T *restrict dx, const struct sy_ffn_act_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint r = first; r < first + count; ++r) {
        const struct drop_row d = ffn_row(c, p, row, r);
        for (uint col = lid * DROP_COLS; col < p.cols; col += WG * DROP_COLS) {
            const uint at = r * p.cols + col;
            VF factor[DROP_VECS];
            drop_factors(&d, col, factor);
            if (col + DROP_COLS <= p.cols) {
                for (uint v = 0u; v < DROP_VECS; ++v) {
                    const uint i = at + v * VEC;
                    const VF a = T_LDV(x, i), slope = act_slope_v(p.act, a, act_share_v(p.act, a));
                    T_STV(dx, i, kept_v(T_LDV(dy, i) * slope, factor[v]));
                }
            } else {
                float f[DROP_COLS];
                drop_scalars(factor, f);
                DROP_TAIL (j, p.cols - col) {
                    const float a = T_LD(x, at + j), slope = act_slope(p.act, a, act_share(p.act, a));
                    T_ST(dx, at + j, kept(T_LD(dy, at + j) * slope, f[j]));
                }
            }
        }
    }
}
