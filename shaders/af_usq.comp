// SPDX-License-Identifier: Apache-2.0
// af_usq: sums of the squares of Adafactor's update, for all factored matrices of a pack: usq[block] = sum of u².
//   u = g'·sqrt(mean)/sqrt(r)·1/sqrt(col), g' = gs[0]·g. Not sqrt(r / mean): that quotient can underflow.
//   table i, g [elements] f, r [rows] f, mean [matrices] f, col [cols] f, gs [2] f → usq [blocks] f (partly written)
// Launch: one work-group does one block (matrices.h). The order of a sum depends on the block's shape only.
#version 450
#include "common.glsl"
#include "matrices.glsl"

IN(1, float, g);
IN(2, float, r);
IN(3, float, mean);
IN(4, float, col);
IN(5, float, gs);
INOUT(6, float, usq);
ARGS(sy_matrices_args);
LANE_ARRAY(1u);
shared float row_factor[SY_MATRIX_ROWS];

void main()
{
    GROUP_GUARD(p.count);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID;
    const block b = block_of(p.entries, p.base, p.part_base, id);
    const float root = sqrt(mean[b.matrix]), clip = gs[0];
    for (uint k = lid; k < b.rows; k += WG)
        row_factor[k] = root / sqrt(r[b.row + k]);
    barrier();
    EACH_LANE (lane) {
        float total = 0.0;
        for (uint j = lane; j < b.cols; j += LANES) {
            const float factor = 1.0 / sqrt(col[b.col + j]);
            float sum = 0.0;
            for (uint k = 0u; k < b.rows; ++k) {
                const float u = g[b.at + k * b.cols + j] * clip * row_factor[k] * factor;
                sum += u * u;
            }
            total += sum;
        }
        sums[lane] = total;
    }
    LANE_SUMS(1u);
    if (lid == 0u)
        usq[id] = sums[0];
}
