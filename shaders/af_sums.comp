// SPDX-License-Identifier: Apache-2.0
// af_sums: all sums over the gradients and weights of a pack's factored matrices, in one pass, block by block:
//   rowsq = sum of g² over each row, part = sum of g² over each column of the block, gsq and wsq = sums of g² and w².
//   Of the gradient as it is: clipping's factor is known after the norm, which is made of gsq; af_row and af_col apply it.
//   table i, g, w [elements] f → rowsq [rows] f (partly written), part [parts] f: [blocks, cols] of each matrix,
//   wsq, gsq [blocks] f (partly written)
// Launch: one work-group does one block (matrices.h). The order of a sum depends on the block's shape only.
#version 450
#include "common.glsl"
#include "matrices.glsl"

IN(1, float, g);
IN(2, float, w);
INOUT(3, float, rowsq);
OUT(4, float, part);
INOUT(5, float, wsq);
INOUT(6, float, gsq);
ARGS(sy_matrices_args);
LANE_ARRAY(SY_MATRIX_ROWS + 1u); // of w² over the block, then of g² over each row

void main()
{
    GROUP_GUARD(p.count);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID;
    const block b = block_of(p.entries, p.base, p.part_base, id);
    EACH_LANE (lane) {
        float w2_block = 0.0;
        for (uint k = 0u; k < b.rows; ++k)
            sums[(k + 1u) * LANES + lane] = 0.0;
        for (uint j = lane; j < b.cols; j += LANES) {
            float col = 0.0, w2 = 0.0;
            for (uint k = 0u; k < b.rows; ++k) {
                const uint at = b.at + k * b.cols + j;
                const float sq = g[at] * g[at];
                sums[(k + 1u) * LANES + lane] += sq;
                col += sq;
                w2 += w[at] * w[at];
            }
            part[b.part + j] = col;
            w2_block += w2;
        }
        sums[lane] = w2_block;
    }
    LANE_SUMS(b.rows + 1u);
    for (uint k = lid; k < b.rows; k += WG)
        rowsq[b.row + k] = sums[(k + 1u) * LANES];
    if (lid == 0u) {
        float total = 0.0;
        for (uint k = 0u; k < b.rows; ++k)
            total += sums[(k + 1u) * LANES];
        gsq[id] = total;
        wsq[id] = sums[0];
    }
}
