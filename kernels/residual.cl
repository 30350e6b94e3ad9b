// SPDX-License-Identifier: Apache-2.0
// residual: y = x + dropout(f), with dropout as in dropout.cl.
//   x, f [rows, cols] t · c · y [rows, cols] t
// Launch: one work-group does SY_ROWS(WG) rows. Masks are bit-equal everywhere.
#include "common.cl.h"
#include "dropout.cl.h"

KERNEL void residual(__global const T *restrict x, __global const T *restrict f, __constant struct sy_step *c,
                     __global T *restrict y, const struct sy_dropout_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint row = first; row < first + count; ++row) {
        const struct drop_row d = drop_row(c, p.threshold, p.scale, p.stream, p.stack, row, 0u);
        for (uint col = lid * DROP_COLS; col < p.cols; col += WG * DROP_COLS) {
            const uint at = row * p.cols + col;
            VF factor[DROP_VECS];
            drop_factors(&d, col, factor);
            if (col + DROP_COLS <= p.cols) {
                for (uint v = 0u; v < DROP_VECS; ++v) {
                    const uint i = at + v * VEC;
                    T_STV(y, i, T_LDV(x, i) + kept_v(T_LDV(f, i), factor[v]));
                }
            } else {
                float s[DROP_COLS];
                drop_scalars(factor, s);
                DROP_TAIL (j, p.cols - col)
                    T_ST(y, at + j, T_LD(x, at + j) + kept(T_LD(f, at + j), s[j]));
            }
        }
    }
}
