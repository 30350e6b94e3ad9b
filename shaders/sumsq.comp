// SPDX-License-Identifier: Apache-2.0
// sumsq: part[block] = sum of x² over a block of rows of one matrix (matrices.h), for every matrix of a pack.
//   table i, x [elements] f → part [blocks] f (partly written)
// Launch: one work-group sums one block, row by row. The order depends on the block's shape only.
#version 450
#include "common.glsl"
#include "matrices.glsl"

IN(1, float, x);
INOUT(2, float, part);
ARGS(sy_matrices_args);
LANE_ARRAY(1u);

void main()
{
    GROUP_GUARD(p.count);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID;
    const block b = block_of(p.entries, p.base, p.part_base, id);
    EACH_LANE (lane) {
        float total = 0.0;
        for (uint k = 0u; k < b.rows; ++k) { // short sums, added up: better rounding than one long sum
            const uint start = b.at + k * b.cols;
            float squares = 0.0;
            for (uint j = start + lane; j < start + b.cols; j += LANES)
                squares += x[j] * x[j];
            total += squares;
        }
        sums[lane] = total;
    }
    LANE_SUMS(1u);
    if (lid == 0u)
        part[id] = sums[0];
}
