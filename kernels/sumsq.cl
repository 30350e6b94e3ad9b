// SPDX-License-Identifier: Apache-2.0
// sumsq: part[block] = sum of x² over a block of rows of one matrix (matrices.h), for every matrix of a pack.
//   table i, x [elements] f → part [blocks] f (partly written)
// Launch: one work-group sums one block, row by row. The order depends on the block's shape, LANES and VEC only.
#include "common.cl.h"
#include "matrices.cl.h"

KERNEL void sumsq(__global const int *restrict table, __global const float *restrict x, __global float *restrict part,
                  const struct sy_matrices_args p)
{
    GROUP_GUARD(p.count);
    LOCAL_ARRAY(sums, LANES);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID;
    const struct block b = block_of(table, p, id);
    const uint full = b.cols - b.cols % VEC;
    EACH_LANE (lane) {
        float total = 0.0f;
        for (uint k = 0u; k < b.rows; ++k) { // short sums, added up: better rounding than one long sum
            __global const float *xr = x + b.at + k * b.cols;
            VF squares = (VF)(0.0f);
            float rest = 0.0f;
            for (uint j = lane * VEC; j < full; j += LANES * VEC) {
                const VF v = V_LOAD(0, xr + j);
                squares += v * v;
            }
            for (uint j = full + lane; j < b.cols; j += LANES)
                rest += xr[j] * xr[j];
            total += VSUM(squares) + rest;
        }
        sums[lane] = total;
    }
    LANE_SUMS(sums, 1u);
    if (lid == 0u)
        part[id] = sums[0];
}
