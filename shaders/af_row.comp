// SPDX-License-Identifier: Apache-2.0
// af_row: Adafactor's row statistics and their mean, the normaliser of its rank-one estimate, for all factored matrices of
// a pack: r = beta2·r + (1 − beta2)·(gs[0]²·rowsq / cols + 1e-30), mean = sum of r / rows.
//   table i, rowsq [rows] f, gs [2] f, c → r [rows] f (read and written), mean [matrices] f (partly written)
// Launch: one work-group does one matrix. The order of the sum depends on its height only.
#version 450
#include "common.glsl"
#include "matrices.glsl"

IN(1, float, rowsq);
IN(2, float, gs);
STEP(3);
INOUT(4, float, r);
INOUT(5, float, mean);
ARGS(sy_matrices_args);
LANE_ARRAY(1u);

void main()
{
    GROUP_GUARD(p.count);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID, t = matrix_row(p.entries, SY_MATRIX_NUMBER, id);
    const uint rows = FIELD(t, HEIGHT), start = FIELD(t, STATE) + (id - FIELD(t, NUMBER)) * rows;
    const float clip = gs[0], beta = c.beta2, cols = float(FIELD(t, WIDTH));
    EACH_LANE (lane) {
        float sum = 0.0;
        for (uint i = start + lane; i < start + rows; i += LANES) {
            const float square = rowsq[i] * clip * clip / cols + 1e-30; // in this order: clip² may underflow
            const float next = beta * r[i] + (1.0 - beta) * square;
            r[i] = next;
            sum += next;
        }
        sums[lane] = sum;
    }
    LANE_SUMS(1u);
    if (lid == 0u)
        mean[id] = sums[0] / float(rows);
}
