// SPDX-License-Identifier: Apache-2.0
// af_usq: row sums of the squares of Adafactor's update: usq = sum over columns of u².
//   u = g'·sqrt(mean)/sqrt(r)·1/sqrt(col), g' = gs[0]·g. Not sqrt(r / mean): that quotient can underflow.
//   g [P,rows,cols] f, r [P,rows] f, mean [P] f, col [P,cols] f, gs [2] f → usq [P,rows] f
// Launch: one work-group does SY_ROWS(WG) rows of one matrix. The order of a sum depends on cols, WG and VEC only.
#include "common.cl.h"
#include "adafactor.cl.h"

KERNEL void af_usq(__global const float *restrict g, __global const float *restrict r,
                   __global const float *restrict mean, __global const float *restrict col,
                   __global const float *restrict gs, __global float *restrict usq, const struct sy_adafactor_args p)
{
    const uint pieces = SY_PIECES(p.rows, SY_ROWS(WG)), full = p.cols - p.cols % VEC;
    GROUP_GUARD(p.parts * pieces);
    LOCAL_SCRATCH(scratch);
    const uint lid = LOCAL_ID, matrix = GROUP_ID / pieces, first = GROUP_ID % pieces * SY_ROWS(WG);
    const uint row0 = matrix * p.rows + first, rows = min(SY_ROWS(WG), p.rows - first);
    const float root = sqrt(mean[matrix]), clip = gs[0];
    __global const float *cm = col + matrix * p.cols;
    VF sum[SY_ROWS(WG)];
    for (uint k = 0u; k < SY_ROWS(WG); ++k)
        sum[k] = (VF)(0.0f);
    for (uint base = 0u; base < full; base += AF_STRIP) {
        VF factor[AF_VECS];
        const uint vecs = af_factors(cm, base, full, lid, factor);
        for (uint k = 0u; k < rows; ++k) {
            __global const float *gr = g + (row0 + k) * p.cols + base + lid * VEC;
            const float row_factor = root / sqrt(r[row0 + k]);
            AF_EACH (v, vecs) {
                const VF u = V_LOAD(0, gr + v * WG * VEC) * clip * row_factor * factor[v];
                sum[k] += u * u;
            }
        }
    }
    for (uint k = 0u; k < rows; ++k) {
        __global const float *gr = g + (row0 + k) * p.cols;
        const float row_factor = root / sqrt(r[row0 + k]);
        float rest = 0.0f;
        for (uint j = full + lid; j < p.cols; j += WG) {
            const float u = gr[j] * clip * row_factor * (1.0f / sqrt(cm[j]));
            rest += u * u;
        }
        GROUP_SUM(scratch, VSUM(sum[k]) + rest, total);
        if (lid == 0u)
            usq[row0 + k] = total;
    }
}
