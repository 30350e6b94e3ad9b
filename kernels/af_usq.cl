// SPDX-License-Identifier: Apache-2.0
// af_usq: sums of the squares of Adafactor's update, for all factored matrices of a pack: usq[block] = sum of u².
//   u = g'·sqrt(mean)/sqrt(r)·1/sqrt(col), g' = gs[0]·g. Not sqrt(r / mean): that quotient can underflow.
//   table i, g [elements] f, r [rows] f, mean [matrices] f, col [cols] f, gs [2] f → usq [blocks] f (partly written)
// Launch: one work-group does one block (matrices.h). The order of a sum depends on the block's shape, LANES and VEC only.
#include "common.cl.h"
#include "adafactor.cl.h"

KERNEL void af_usq(__global const int *restrict table, __global const float *restrict g,
                   __global const float *restrict r, __global const float *restrict mean,
                   __global const float *restrict col, __global const float *restrict gs, __global float *restrict usq,
                   const struct sy_matrices_args p)
{
    GROUP_GUARD(p.count);
    LOCAL_ARRAY(sums, LANES);
    LOCAL_ARRAY(row_factor, SY_MATRIX_ROWS);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID;
    const struct block b = block_of(table, p, id);
    const uint full = b.cols - b.cols % VEC;
    const float root = sqrt(mean[b.matrix]), clip = gs[0];
    for (uint k = lid; k < b.rows; k += WG)
        row_factor[k] = root / sqrt(r[b.row + k]);
    BARRIER();
    EACH_LANE (lane) {
        float total = 0.0f;
        for (uint base = 0u; base < full; base += AF_STRIP) {
            VF factor[AF_VECS];
            const uint vecs = af_factors(col + b.col, base, full, lane, factor);
            for (uint k = 0u; k < b.rows; ++k) {
                __global const float *gr = g + b.at + k * b.cols + base + lane * VEC;
                const float rf = row_factor[k];
                VF sum = (VF)(0.0f);
                AF_EACH (v, vecs) {
                    const VF u = V_LOAD(0, gr + v * LANES * VEC) * clip * rf * factor[v];
                    sum += u * u;
                }
                total += VSUM(sum);
            }
        }
        for (uint j = full + lane; j < b.cols; j += LANES) {
            const float factor = 1.0f / sqrt(col[b.col + j]);
            for (uint k = 0u; k < b.rows; ++k) {
                const float u = g[b.at + k * b.cols + j] * clip * row_factor[k] * factor;
                total += u * u;
            }
        }
        sums[lane] = total;
    }
    LANE_SUMS(sums, 1u);
    if (lid == 0u)
        usq[id] = sums[0];
}
