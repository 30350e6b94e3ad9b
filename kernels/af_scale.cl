// SPDX-License-Identifier: Apache-2.0
// af_scale: Adafactor's step size of each matrix of a pack: scale = lr · max(rms(w), 1e-3) / max(1, rms(u)).
//   rms = sqrt(sum over its blocks / (rows·cols)) of the block sums wsq and usq
//   table i, wsq, usq [blocks] f, c → scale [matrices] f
// Launch: one work-group does one matrix. The order of the sums depends on its height, LANES and VEC only.
#include "common.cl.h"
#include "matrices.cl.h"

KERNEL void af_scale(__global const int *restrict table, __global const float *restrict wsq,
                     __global const float *restrict usq, __constant struct sy_step *c, __global float *restrict scale,
                     const struct sy_matrices_args p)
{
    GROUP_GUARD(p.count);
    LOCAL_ARRAY(sums, 2u * LANES);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID;
    __global const int *t = matrix_row(table, p.entries, SY_MATRIX_NUMBER, id);
    const uint blocks = SY_PIECES(FIELD(t, HEIGHT), SY_MATRIX_ROWS), full = blocks - blocks % VEC;
    const uint start = FIELD(t, BLOCK) + (id - FIELD(t, NUMBER)) * blocks;
    EACH_LANE (lane) {
        VF w2 = (VF)(0.0f), u2 = (VF)(0.0f);
        float w2_rest = 0.0f, u2_rest = 0.0f;
        for (uint i = lane * VEC; i < full; i += LANES * VEC) {
            w2 += V_LOAD(0, wsq + start + i);
            u2 += V_LOAD(0, usq + start + i);
        }
        for (uint i = full + lane; i < blocks; i += LANES) {
            w2_rest += wsq[start + i];
            u2_rest += usq[start + i];
        }
        sums[lane] = VSUM(w2) + w2_rest;
        sums[LANES + lane] = VSUM(u2) + u2_rest;
    }
    LANE_SUMS(sums, 2u);
    if (lid == 0u) {
        const float n = (float)FIELD(t, HEIGHT) * (float)FIELD(t, WIDTH);
        scale[id] = c->lr * fmax(sqrt(sums[0] / n), 1e-3f) / fmax(1.0f, sqrt(sums[LANES] / n));
    }
}
