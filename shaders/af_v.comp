// SPDX-License-Identifier: Apache-2.0
// af_v: Adafactor's full second moment, for the matrices of a pack that are too small to factor, and af_scale's sums.
//   v = beta2·v + (1 − beta2)·(g'² + 1e-30), usq[block] = sum of g'²/v, wsq[block] = sum of w²; g' = gs[0]·g
//   table i, g, w [elements] f, gs [2] f, c → v [full] f (read and written), wsq, usq [blocks] f (partly written)
// Launch: one work-group does one block (matrices.h). The order of a sum depends on the block's shape only.
#version 450
#include "common.glsl"
#include "matrices.glsl"

IN(1, float, g);
IN(2, float, w);
IN(3, float, gs);
STEP(4);
INOUT(5, float, v);
INOUT(6, float, wsq);
INOUT(7, float, usq);
ARGS(sy_matrices_args);
LANE_ARRAY(2u);

void main()
{
    GROUP_GUARD(p.count);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID;
    const block b = block_of(p.entries, p.base, p.part_base, id);
    const float clip = gs[0], beta = c.beta2;
    EACH_LANE (lane) {
        float w2_block = 0.0, u2_block = 0.0;
        for (uint k = 0u; k < b.rows; ++k) {
            float u2 = 0.0, w2 = 0.0;
            for (uint j = k * b.cols + lane; j < (k + 1u) * b.cols; j += LANES) {
                const float gv = g[b.at + j] * clip, g2 = gv * gv, wv = w[b.at + j];
                const float next = beta * v[b.element + j] + (1.0 - beta) * (g2 + 1e-30);
                v[b.element + j] = next;
                u2 += g2 / next;
                w2 += wv * wv;
            }
            u2_block += u2;
            w2_block += w2;
        }
        sums[lane] = u2_block;
        sums[LANES + lane] = w2_block;
    }
    LANE_SUMS(2u);
    if (lid == 0u) {
        usq[id] = sums[0];
        wsq[id] = sums[LANES];
    }
}
