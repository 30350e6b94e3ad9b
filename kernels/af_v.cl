// SPDX-License-Identifier: Apache-2.0
// af_v: Adafactor's full second moment, for what is too small to factor, and the row sums for af_scale.
//   v = beta2·v + (1 − beta2)·(g'² + 1e-30), usq = row sum of g'²/v, wsq = row sum of w²; g' = gs[0]·g
//   g, w [P,rows,cols] f, gs [2] f, c → v [P,rows,cols] f (read and written), wsq, usq [P,rows] f
// Launch: one work-group does SY_ROWS(WG) rows. The order of a sum depends on cols, WG and VEC only.
#include "common.cl.h"
#include "chunk.h"

KERNEL void af_v(__global const float *restrict g, __global const float *restrict w, __global const float *restrict gs,
                 __constant struct sy_step *c, __global float *restrict v, __global float *restrict wsq,
                 __global float *restrict usq, const struct sy_adafactor_args p)
{
    const uint total = p.parts * p.rows, full = p.cols - p.cols % VEC;
    GROUP_GUARD(SY_PIECES(total, SY_ROWS(WG)));
    LOCAL_SCRATCH(scratch);
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), end = min(first + SY_ROWS(WG), total);
    const float clip = gs[0], beta = c->beta2;
    for (uint row = first; row < end; ++row) {
        const uint start = row * p.cols;
        VF u2 = (VF)(0.0f), w2 = (VF)(0.0f);
        float u2_rest = 0.0f, w2_rest = 0.0f;
        for (uint j = lid * VEC; j < full; j += WG * VEC) {
            const VF gv = V_LOAD(0, g + start + j) * clip, wv = V_LOAD(0, w + start + j), g2 = gv * gv;
            const VF next = beta * V_LOAD(0, v + start + j) + (1.0f - beta) * (g2 + 1e-30f);
            V_STORE(next, 0, v + start + j);
            u2 += g2 / next;
            w2 += wv * wv;
        }
        for (uint j = start + full + lid; j < start + p.cols; j += WG) {
            const float gv = g[j] * clip, g2 = gv * gv;
            const float next = beta * v[j] + (1.0f - beta) * (g2 + 1e-30f);
            v[j] = next;
            u2_rest += g2 / next;
            w2_rest += w[j] * w[j];
        }
        GROUP_SUM(scratch, VSUM(u2) + u2_rest, u2_sum);
        GROUP_SUM(scratch, VSUM(w2) + w2_rest, w2_sum);
        if (lid == 0u) {
            usq[row] = u2_sum;
            wsq[row] = w2_sum;
        }
    }
}
