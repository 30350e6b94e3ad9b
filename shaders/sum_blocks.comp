// SPDX-License-Identifier: Apache-2.0
// sum_blocks: sums[rank[m]] = sum of part over the blocks of matrix m (matrices.h), for every matrix of a pack. The ranks
// are places in the order of names, so that clip's order does not depend on where a matrix lives.
//   table i, rank [matrices] i, part [blocks] f → sums [everything] f (partly written)
// Launch: one work-group does one matrix. The order depends on the matrix's height only.
#version 450
#include "common.glsl"
#include "matrices.glsl"

IN(1, int, rank);
IN(2, float, part);
INOUT(3, float, sums_by_name);
ARGS(sy_matrices_args);
LANE_ARRAY(1u);

void main()
{
    GROUP_GUARD(p.count);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID, t = matrix_row(p.entries, SY_MATRIX_NUMBER, id);
    const uint blocks = SY_PIECES(FIELD(t, HEIGHT), SY_MATRIX_ROWS);
    const uint start = FIELD(t, BLOCK) + (id - FIELD(t, NUMBER)) * blocks;
    EACH_LANE (lane) {
        float sum = 0.0;
        for (uint i = start + lane; i < start + blocks; i += LANES)
            sum += part[i];
        sums[lane] = sum;
    }
    LANE_SUMS(1u);
    if (lid == 0u)
        sums_by_name[rank[id]] = sums[0];
}
