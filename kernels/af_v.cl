// SPDX-License-Identifier: Apache-2.0
// af_v: Adafactor's full second moment, for the matrices of a pack that are too small to factor, and af_scale's sums.
//   v = beta2·v + (1 − beta2)·(g'² + 1e-30), usq[block] = sum of g'²/v, wsq[block] = sum of w²; g' = gs[0]·g
//   table i, g, w [elements] f, gs [2] f, c → v [full] f (read and written), wsq, usq [blocks] f (partly written)
// Launch: one work-group does one block (matrices.h). The order of a sum depends on the block's shape, LANES and VEC only.
#include "common.cl.h"
#include "matrices.cl.h"

KERNEL void af_v(__global const int *restrict table, __global const float *restrict g, __global const float *restrict w,
                 __global const float *restrict gs, __constant struct sy_step *c, __global float *restrict v,
                 __global float *restrict wsq, __global float *restrict usq, const struct sy_matrices_args p)
{
    GROUP_GUARD(p.count);
    LOCAL_ARRAY(sums, 2u * LANES);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID;
    const struct block b = block_of(table, p, id);
    const uint full = b.cols - b.cols % VEC;
    const float clip = gs[0], beta = c->beta2;
    EACH_LANE (lane) {
        float w2_block = 0.0f, u2_block = 0.0f;
        for (uint k = 0u; k < b.rows; ++k) {
            __global const float *gr = g + b.at + k * b.cols, *wr = w + b.at + k * b.cols;
            __global float *vr = v + b.element + k * b.cols;
            VF u2 = (VF)(0.0f), w2 = (VF)(0.0f);
            float u2_rest = 0.0f, w2_rest = 0.0f;
            for (uint j = lane * VEC; j < full; j += LANES * VEC) {
                const VF gv = V_LOAD(0, gr + j) * clip, wv = V_LOAD(0, wr + j), g2 = gv * gv;
                const VF next = beta * V_LOAD(0, vr + j) + (1.0f - beta) * (g2 + 1e-30f);
                V_STORE(next, 0, vr + j);
                u2 += g2 / next;
                w2 += wv * wv;
            }
            for (uint j = full + lane; j < b.cols; j += LANES) {
                const float gv = gr[j] * clip, g2 = gv * gv;
                const float next = beta * vr[j] + (1.0f - beta) * (g2 + 1e-30f);
                vr[j] = next;
                u2_rest += g2 / next;
                w2_rest += wr[j] * wr[j];
            }
            u2_block += VSUM(u2) + u2_rest;
            w2_block += VSUM(w2) + w2_rest;
        }
        sums[lane] = u2_block;
        sums[LANES + lane] = w2_block;
    }
    LANE_SUMS(sums, 2u);
    if (lid == 0u) {
        usq[id] = sums[0];
        wsq[id] = sums[LANES];
    }
}
