// SPDX-License-Identifier: Apache-2.0
// af_apply: Adafactor's step for all factored matrices of a pack: w -= scale·u.
//   u = g'·sqrt(mean)/sqrt(r)·1/sqrt(col) as in af_usq, g' = gs[0]·g: an exact 0 in g leaves w as it is.
//   table i, g [elements] f, r [rows] f, mean, scale [matrices] f, col [cols] f, gs [2] f → w [elements] f (read, written)
// Launch: one work-group does one block (matrices.h). No reduction.
#version 450
#include "common.glsl"
#include "matrices.glsl"

IN(1, float, g);
IN(2, float, r);
IN(3, float, mean);
IN(4, float, col);
IN(5, float, scale);
IN(6, float, gs);
INOUT(7, float, w);
ARGS(sy_matrices_args);
shared float row_factor[SY_MATRIX_ROWS];

void main()
{
    GROUP_GUARD(p.count);
    const uint lid = LOCAL_ID;
    const block b = block_of(p.entries, p.base, p.part_base, p.first + GROUP_ID);
    const float root = sqrt(mean[b.matrix]), clip = gs[0], step = scale[b.matrix];
    for (uint k = lid; k < b.rows; k += WG)
        row_factor[k] = root / sqrt(r[b.row + k]);
    barrier();
    for (uint j = lid; j < b.cols; j += WG) {
        const float factor = 1.0 / sqrt(col[b.col + j]);
        for (uint k = 0u; k < b.rows; ++k) {
            const uint at = b.at + k * b.cols + j;
            w[at] -= step * (g[at] * clip * row_factor[k] * factor);
        }
    }
}
