// SPDX-License-Identifier: Apache-2.0
// af_scale: Adafactor's step size of each matrix: scale = lr · max(rms(w), 1e-3) / max(1, rms(u)).
//   rms = sqrt(sum over rows / (rows·cols)) of the row sums wsq and usq
//   wsq, usq [P,rows] f, c → scale [P] f
// Launch: one work-group does one matrix. The order of the sums depends on rows and WG only.
#include "common.cl.h"
#include "chunk.h"

KERNEL void af_scale(__global const float *restrict wsq, __global const float *restrict usq,
                     __constant struct sy_step *c, __global float *restrict scale, const struct sy_adafactor_args p)
{
    GROUP_GUARD(p.parts);
    LOCAL_SCRATCH(scratch);
    const uint lid = LOCAL_ID, matrix = GROUP_ID, full = p.rows - p.rows % VEC;
    __global const float *wm = wsq + matrix * p.rows, *um = usq + matrix * p.rows;
    VF w2 = (VF)(0.0f), u2 = (VF)(0.0f);
    float w2_rest = 0.0f, u2_rest = 0.0f;
    for (uint i = lid * VEC; i < full; i += WG * VEC) {
        w2 += V_LOAD(0, wm + i);
        u2 += V_LOAD(0, um + i);
    }
    for (uint i = full + lid; i < p.rows; i += WG) {
        w2_rest += wm[i];
        u2_rest += um[i];
    }
    GROUP_SUM(scratch, VSUM(w2) + w2_rest, w2_sum);
    GROUP_SUM(scratch, VSUM(u2) + u2_rest, u2_sum);
    if (lid == 0u) {
        const float n = (float)p.rows * (float)p.cols;
        scale[matrix] = c->lr * fmax(sqrt(w2_sum / n), 1e-3f) / fmax(1.0f, sqrt(u2_sum / n));
    }
}
