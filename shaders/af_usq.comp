// SPDX-License-Identifier: Apache-2.0
// af_usq: row sums of the squares of Adafactor's update: usq = sum over columns of u².
//   u = g'·sqrt(mean)/sqrt(r)·1/sqrt(col), g' = gs[0]·g. Not sqrt(r / mean): that quotient can underflow.
//   g [P,rows,cols] f, r [P,rows] f, mean [P] f, col [P,cols] f, gs [2] f → usq [P,rows] f
// Launch: one work-group does SY_ROWS(WG) rows of one matrix. The order of a sum depends on cols and WG only.
#version 450
#include "common.glsl"
#include "chunk.h"

IN(0, float, g);
IN(1, float, r);
IN(2, float, mean);
IN(3, float, col);
IN(4, float, gs);
OUT(5, float, usq);
ARGS(sy_adafactor_args);
LOCAL_SCRATCH;

void main()
{
    const uint pieces = SY_PIECES(p.rows, SY_ROWS(WG));
    GROUP_GUARD(p.parts * pieces);
    const uint lid = LOCAL_ID, matrix = GROUP_ID / pieces, first = GROUP_ID % pieces * SY_ROWS(WG);
    const uint row0 = matrix * p.rows + first, rows = min(SY_ROWS(WG), p.rows - first);
    const float root = sqrt(mean[matrix]), clip = gs[0];
    for (uint row = row0; row < row0 + rows; ++row) {
        const float row_factor = root / sqrt(r[row]);
        float sum = 0.0;
        for (uint j = lid; j < p.cols; j += WG) {
            const float u = g[row * p.cols + j] * clip * row_factor * (1.0 / sqrt(col[matrix * p.cols + j]));
            sum += u * u;
        }
        GROUP_SUM(sum, total);
        if (lid == 0u)
            usq[row] = total;
    }
}
