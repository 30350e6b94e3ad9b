// SPDX-License-Identifier: Apache-2.0
// dropout: y[row][col] = bits(row0 + row, col) < threshold ? 0 : x[row][col] · scale; threshold 0 copies.
//   x [rows, cols] t · c · y [rows, cols] t
// Launch: one work-group does SY_ROWS(WG) rows. Its own backward (dy in, dx out). Masks are bit-equal everywhere.
#include "common.cl.h"
#include "dropout.cl.h"

KERNEL void dropout(__global const T *restrict x, __constant struct sy_step *c, __global T *restrict y,
                    const struct sy_dropout_args p)
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
                for (uint v = 0u; v < DROP_VECS; ++v)
                    T_STV(y, at + v * VEC, kept_v(T_LDV(x, at + v * VEC), factor[v]));
            } else {
                float f[DROP_COLS];
                drop_scalars(factor, f);
                DROP_TAIL (j, p.cols - col)
                    T_ST(y, at + j, kept(T_LD(x, at + j), f[j]));
            }
        }
    }
}
