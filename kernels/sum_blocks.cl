// SPDX-License-Identifier: Apache-2.0
// sum_blocks: sums[rank[m]] = sum of part over the blocks of matrix m (matrices.h), for every matrix of a pack. The ranks
// are places in the order of names, so that clip's order does not depend on where a matrix lives.
//   table i, rank [matrices] i, part [blocks] f → sums [everything] f (partly written)
// Launch: one work-group does one matrix. The order depends on the matrix's height, LANES and VEC only.
#include "common.cl.h"
#include "matrices.cl.h"

KERNEL void sum_blocks(__global const int *restrict table, __global const int *restrict rank,
                       __global const float *restrict part, __global float *restrict sums_by_name,
                       const struct sy_matrices_args p)
{
    GROUP_GUARD(p.count);
    LOCAL_ARRAY(sums, LANES);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID;
    __global const int *t = matrix_row(table, p.entries, SY_MATRIX_NUMBER, id);
    const uint blocks = SY_PIECES(FIELD(t, HEIGHT), SY_MATRIX_ROWS), full = blocks - blocks % VEC;
    __global const float *pm = part + FIELD(t, BLOCK) + (id - FIELD(t, NUMBER)) * blocks;
    EACH_LANE (lane) {
        VF sum = (VF)(0.0f);
        float rest = 0.0f;
        for (uint i = lane * VEC; i < full; i += LANES * VEC)
            sum += V_LOAD(0, pm + i);
        for (uint i = full + lane; i < blocks; i += LANES)
            rest += pm[i];
        sums[lane] = VSUM(sum) + rest;
    }
    LANE_SUMS(sums, 1u);
    if (lid == 0u)
        sums_by_name[rank[id]] = sums[0];
}
