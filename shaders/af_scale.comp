// SPDX-License-Identifier: Apache-2.0
// af_scale: Adafactor's step size of each matrix of a pack: scale = lr · max(rms(w), 1e-3) / max(1, rms(u)).
//   rms = sqrt(sum over its blocks / (rows·cols)) of the block sums wsq and usq
//   table i, wsq, usq [blocks] f, c → scale [matrices] f
// Launch: one work-group does one matrix. The order of the sums depends on its height only.
#version 450
#include "common.glsl"
#include "matrices.glsl"

IN(1, float, wsq);
IN(2, float, usq);
STEP(3);
OUT(4, float, scale);
ARGS(sy_matrices_args);
LANE_ARRAY(2u);

void main()
{
    GROUP_GUARD(p.count);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID, t = matrix_row(p.entries, SY_MATRIX_NUMBER, id);
    const uint blocks = SY_PIECES(FIELD(t, HEIGHT), SY_MATRIX_ROWS);
    const uint start = FIELD(t, BLOCK) + (id - FIELD(t, NUMBER)) * blocks;
    EACH_LANE (lane) {
        float w2 = 0.0, u2 = 0.0;
        for (uint i = start + lane; i < start + blocks; i += LANES) {
            w2 += wsq[i];
            u2 += usq[i];
        }
        sums[lane] = w2;
        sums[LANES + lane] = u2;
    }
    LANE_SUMS(2u);
    if (lid == 0u) {
        const float n = float(FIELD(t, HEIGHT)) * float(FIELD(t, WIDTH));
        scale[id] = c.lr * max(sqrt(sums[0] / n), 1e-3) / max(1.0, sqrt(sums[LANES] / n));
    }
}
