// SPDX-License-Identifier: Apache-2.0
// af_row: Adafactor's row statistics and their mean, the normaliser of its rank-one estimate, for all factored matrices of
// a pack: r = beta2·r + (1 − beta2)·(gs[0]²·rowsq / cols + 1e-30), mean = sum of r / rows.
//   table i, rowsq [rows] f, gs [2] f, c → r [rows] f (read and written), mean [matrices] f (partly written)
// Launch: one work-group does one matrix. The order of the sum depends on its height, LANES and VEC only.
#include "common.cl.h"
#include "matrices.cl.h"

KERNEL void af_row(__global const int *restrict table, __global const float *restrict rowsq,
                   __global const float *restrict gs, __constant struct sy_step *c, __global float *restrict r,
                   __global float *restrict mean, const struct sy_matrices_args p)
{
    GROUP_GUARD(p.count);
    LOCAL_ARRAY(sums, LANES);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID;
    __global const int *t = matrix_row(table, p.entries, SY_MATRIX_NUMBER, id);
    const uint rows = FIELD(t, HEIGHT), full = rows - rows % VEC;
    const uint start = FIELD(t, STATE) + (id - FIELD(t, NUMBER)) * rows;
    const float clip = gs[0], beta = c->beta2, cols = (float)FIELD(t, WIDTH);
    EACH_LANE (lane) {
        VF sum = (VF)(0.0f);
        float rest = 0.0f;
        for (uint i = start + lane * VEC; i < start + full; i += LANES * VEC) {
            const VF square = V_LOAD(0, rowsq + i) * clip * clip / cols + 1e-30f; // in this order: clip² may underflow
            const VF next = beta * V_LOAD(0, r + i) + (1.0f - beta) * square;
            V_STORE(next, 0, r + i);
            sum += next;
        }
        for (uint i = start + full + lane; i < start + rows; i += LANES) {
            r[i] = beta * r[i] + (1.0f - beta) * (rowsq[i] * clip * clip / cols + 1e-30f);
            rest += r[i];
        }
        sums[lane] = VSUM(sum) + rest;
    }
    LANE_SUMS(sums, 1u);
    if (lid == 0u)
        mean[id] = sums[0] / (float)rows;
}
