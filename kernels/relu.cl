// SPDX-License-Identifier: Apache-2.0
// relu: y = dropout(max(x, 0)) on the hidden activations of an FFN.
//   x [rows, cols] t · row [rows] i32 (indexed only: src of the slot, −1 = unused, y gets zeros;
//   indexed 2: is left alone) · c · y [rows, cols] t
// Launch: one work-group does SY_ROWS(WG) rows. Masks are bit-equal everywhere and follow the token, not the slot.
#include "common.cl.h"
#include "dropout.cl.h"

KERNEL void relu(__global const T *restrict x, __global const int *restrict row, __constant struct sy_step *c,
                 __global T *restrict y, const struct sy_ffn_act_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint r = first; r < first + count; ++r) {
        if (p.indexed == 2u && row[r] < 0)
            continue;
        const struct drop_row d = ffn_row(c, p, row, r);
        for (uint col = lid * DROP_COLS; col < p.cols; col += WG * DROP_COLS) {
            const uint at = r * p.cols + col;
            VF factor[DROP_VECS];
            drop_factors(&d, col, factor);
            if (col + DROP_COLS <= p.cols) {
                for (uint v = 0u; v < DROP_VECS; ++v) {
                    const VF a = T_LDV(x, at + v * VEC); // a NaN stays one
                    T_STV(y, at + v * VEC, kept_v(select(a, (VF)(0.0f), a < (VF)(0.0f)), factor[v]));
                }
            } else {
                float f[DROP_COLS];
                drop_scalars(factor, f);
                DROP_TAIL (j, p.cols - col) {
                    const float a = T_LD(x, at + j);
                    T_ST(y, at + j, kept(a < 0.0f ? 0.0f : a, f[j]));
                }
            }
        }
    }
}
