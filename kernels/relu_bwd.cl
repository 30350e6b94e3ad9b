// SPDX-License-Identifier: Apache-2.0
// relu_bwd: dx = dropout(dy) where x > 0, else 0; the mask is drawn again.
//   x, dy [rows, cols] t (x before the activation) · row [rows] i32 (indexed only, as in relu) · c · dx [rows, cols] t
// Launch: one work-group does SY_ROWS(WG) rows. Bit-equal everywhere.
#include "common.cl.h"
#include "dropout.cl.h"

KERNEL void relu_bwd(__global const T *restrict x, __global const T *restrict dy, __global const int *restrict row,
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
                    const VF g = kept_v(T_LDV(dy, i), factor[v]);
                    T_STV(dx, i, select((VF)(0.0f), g, T_LDV(x, i) > (VF)(0.0f)));
                }
            } else {
                float f[DROP_COLS];
                drop_scalars(factor, f);
                DROP_TAIL (j, p.cols - col)
                    T_ST(dx, at + j, T_LD(x, at + j) > 0.0f ? kept(T_LD(dy, at + j), f[j]) : 0.0f);
            }
        }
    }
}
