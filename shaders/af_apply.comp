// SPDX-License-Identifier: Apache-2.0
// af_apply: Adafactor's step for factored matrices: w -= scale·u.
//   u = g'·sqrt(mean)/sqrt(r)·1/sqrt(col) as in af_usq, g' = gs[0]·g: an exact 0 in g leaves w as it is.
//   g [P,rows,cols] f, r [P,rows] f, mean, scale [P] f, col [P,cols] f, gs [2] f → w [P,rows,cols] f (read and written)
// Launch: one work-group does SY_ROWS(WG) rows of one matrix. No reduction.
#version 450
#include "common.glsl"
#include "chunk.h"

IN(0, float, g);
IN(1, float, r);
IN(2, float, mean);
IN(3, float, col);
IN(4, float, scale);
IN(5, float, gs);
INOUT(6, float, w);
ARGS(sy_adafactor_args);

void main()
{
    const uint pieces = SY_PIECES(p.rows, SY_ROWS(WG));
    GROUP_GUARD(p.parts * pieces);
    const uint lid = LOCAL_ID, matrix = GROUP_ID / pieces, first = GROUP_ID % pieces * SY_ROWS(WG);
    const uint row0 = matrix * p.rows + first, rows = min(SY_ROWS(WG), p.rows - first);
    const float root = sqrt(mean[matrix]), clip = gs[0], step = scale[matrix];
    for (uint row = row0; row < row0 + rows; ++row) {
        const float row_factor = root / sqrt(r[row]);
        for (uint j = lid; j < p.cols; j += WG) {
            const uint at = row * p.cols + j;
            const float u = g[at] * clip * row_factor * (1.0 / sqrt(col[matrix * p.cols + j]));
            w[at] -= step * u;
        }
    }
}
