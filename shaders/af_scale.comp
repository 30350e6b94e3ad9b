// SPDX-License-Identifier: Apache-2.0
// af_scale: Adafactor's step size of each matrix: scale = lr · max(rms(w), 1e-3) / max(1, rms(u)).
//   rms = sqrt(sum over rows / (rows·cols)) of the row sums wsq and usq
//   wsq, usq [P,rows] f, c → scale [P] f
// Launch: one work-group does one matrix. The order of the sums depends on rows and WG only.
#version 450
#include "common.glsl"
#include "chunk.h"

IN(0, float, wsq);
IN(1, float, usq);
STEP(2);
OUT(3, float, scale);
ARGS(sy_adafactor_args);
LOCAL_SCRATCH;

void main()
{
    GROUP_GUARD(p.parts);
    const uint lid = LOCAL_ID, matrix = GROUP_ID;
    float w2 = 0.0, u2 = 0.0;
    for (uint i = lid; i < p.rows; i += WG) {
        w2 += wsq[matrix * p.rows + i];
        u2 += usq[matrix * p.rows + i];
    }
    GROUP_SUM(w2, w2_sum);
    GROUP_SUM(u2, u2_sum);
    if (lid == 0u) {
        const float n = float(p.rows) * float(p.cols);
        scale[matrix] = c.lr * max(sqrt(w2_sum / n), 1e-3) / max(1.0, sqrt(u2_sum / n));
    }
}
