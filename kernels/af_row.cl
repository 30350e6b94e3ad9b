// SPDX-License-Identifier: Apache-2.0
// af_row: Adafactor's row statistics and the row sums of the weights' squares, over P matrices [rows, cols].
//   r = beta2·r + (1 − beta2)·mean over columns of (g'² + 1e-30), wsq = sum over columns of w²; g' = gs[0]·g
//   g, w [P,rows,cols] f, gs [2] f, c → r [P,rows] f (read and written), wsq [P,rows] f
// Launch: one work-group does SY_ROWS(WG) rows. The order of a sum depends on cols, WG and VEC only.
#include "common.cl.h"
#include "chunk.h"

KERNEL void af_row(__global const float *restrict g, __global const float *restrict w,
                   __global const float *restrict gs, __constant struct sy_step *c, __global float *restrict r,
                   __global float *restrict wsq, const struct sy_adafactor_args p)
{
    const uint total = p.parts * p.rows, full = p.cols - p.cols % VEC;
    GROUP_GUARD(SY_PIECES(total, SY_ROWS(WG)));
    LOCAL_SCRATCH(scratch);
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), end = min(first + SY_ROWS(WG), total);
    const float clip = gs[0], beta = c->beta2;
    for (uint row = first; row < end; ++row) {
        __global const float *gr = g + row * p.cols, *wr = w + row * p.cols;
        VF g2 = (VF)(0.0f), w2 = (VF)(0.0f);
        float g2_rest = 0.0f, w2_rest = 0.0f;
        for (uint j = lid * VEC; j < full; j += WG * VEC) {
            const VF gv = V_LOAD(0, gr + j) * clip, wv = V_LOAD(0, wr + j);
            g2 += gv * gv + 1e-30f;
            w2 += wv * wv;
        }
        for (uint j = full + lid; j < p.cols; j += WG) {
            const float gv = gr[j] * clip;
            g2_rest += gv * gv + 1e-30f;
            w2_rest += wr[j] * wr[j];
        }
        GROUP_SUM(scratch, VSUM(g2) + g2_rest, g2_sum);
        GROUP_SUM(scratch, VSUM(w2) + w2_rest, w2_sum);
        if (lid == 0u) {
            r[row] = beta * r[row] + (1.0f - beta) * (g2_sum / (float)p.cols);
            wsq[row] = w2_sum;
        }
    }
}
