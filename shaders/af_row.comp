// SPDX-License-Identifier: Apache-2.0
// af_row: Adafactor's row statistics and the row sums of the weights' squares, over P matrices [rows, cols].
//   r = beta2·r + (1 − beta2)·mean over columns of (g'² + 1e-30), wsq = sum over columns of w²; g' = gs[0]·g
//   g, w [P,rows,cols] f, gs [2] f, c → r [P,rows] f (read and written), wsq [P,rows] f
// Launch: one work-group does SY_ROWS(WG) rows. The order of a sum depends on cols and WG only.
#version 450
#include "common.glsl"
#include "chunk.h"

IN(0, float, g);
IN(1, float, w);
IN(2, float, gs);
STEP(3);
INOUT(4, float, r);
OUT(5, float, wsq);
ARGS(sy_adafactor_args);
LOCAL_SCRATCH;

void main()
{
    const uint total = p.parts * p.rows;
    GROUP_GUARD(SY_PIECES(total, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), end = min(first + SY_ROWS(WG), total);
    const float clip = gs[0], beta = c.beta2;
    for (uint row = first; row < end; ++row) {
        const uint start = row * p.cols;
        float g2 = 0.0, w2 = 0.0;
        for (uint j = lid; j < p.cols; j += WG) {
            const float gv = g[start + j] * clip, wv = w[start + j];
            g2 += gv * gv + 1e-30;
            w2 += wv * wv;
        }
        GROUP_SUM(g2, g2_sum);
        GROUP_SUM(w2, w2_sum);
        if (lid == 0u) {
            r[row] = beta * r[row] + (1.0 - beta) * (g2_sum / float(p.cols));
            wsq[row] = w2_sum;
        }
    }
}
