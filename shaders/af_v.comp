// SPDX-License-Identifier: Apache-2.0
// af_v: Adafactor's full second moment, for what is too small to factor, and the row sums for af_scale.
//   v = beta2·v + (1 − beta2)·(g'² + 1e-30), usq = row sum of g'²/v, wsq = row sum of w²; g' = gs[0]·g
//   g, w [P,rows,cols] f, gs [2] f, c → v [P,rows,cols] f (read and written), wsq, usq [P,rows] f
// Launch: one work-group does SY_ROWS(WG) rows. The order of a sum depends on cols and WG only.
#version 450
#include "common.glsl"
#include "chunk.h"

IN(0, float, g);
IN(1, float, w);
IN(2, float, gs);
STEP(3);
INOUT(4, float, v);
OUT(5, float, wsq);
OUT(6, float, usq);
ARGS(sy_adafactor_args);
LOCAL_SCRATCH;

void main()
{
    const uint total = p.parts * p.rows;
    GROUP_GUARD(SY_PIECES(total, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), end = min(first + SY_ROWS(WG), total);
    const float clip = gs[0], beta = c.beta2;
    for (uint row = first; row < end; ++row) {
        float u2 = 0.0, w2 = 0.0;
        for (uint j = row * p.cols + lid; j < row * p.cols + p.cols; j += WG) {
            const float gv = g[j] * clip, g2 = gv * gv, wv = w[j];
            const float next = beta * v[j] + (1.0 - beta) * (g2 + 1e-30);
            v[j] = next;
            u2 += g2 / next;
            w2 += wv * wv;
        }
        GROUP_SUM(u2, u2_sum);
        GROUP_SUM(w2, w2_sum);
        if (lid == 0u) {
            usq[row] = u2_sum;
            wsq[row] = w2_sum;
        }
    }
}
