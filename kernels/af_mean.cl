// SPDX-License-Identifier: Apache-2.0
// af_mean: mean of Adafactor's row statistics, the normaliser of its rank-one estimate: mean = sum of r / rows.
//   r [P,rows] f → mean [P] f
// Launch: one work-group does one matrix. The order of the sum depends on rows and WG only.
#include "common.cl.h"
#include "chunk.h"

KERNEL void af_mean(__global const float *restrict r, __global float *restrict mean, const struct sy_adafactor_args p)
{
    GROUP_GUARD(p.parts);
    LOCAL_SCRATCH(scratch);
    const uint lid = LOCAL_ID, matrix = GROUP_ID;
    const uint full = p.rows - p.rows % VEC;
    __global const float *rm = r + matrix * p.rows;
    VF sum = (VF)(0.0f);
    float rest = 0.0f;
    for (uint i = lid * VEC; i < full; i += WG * VEC)
        sum += V_LOAD(0, rm + i);
    for (uint i = full + lid; i < p.rows; i += WG)
        rest += rm[i];
    GROUP_SUM(scratch, VSUM(sum) + rest, total);
    if (lid == 0u)
        mean[matrix] = total / (float)p.rows;
}
