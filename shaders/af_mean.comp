// SPDX-License-Identifier: Apache-2.0
// af_mean: mean of Adafactor's row statistics, the normaliser of its rank-one estimate: mean = sum of r / rows.
//   r [P,rows] f → mean [P] f
// Launch: one work-group does one matrix. The order of the sum depends on rows and WG only.
#version 450
#include "common.glsl"
#include "chunk.h"

IN(0, float, r);
OUT(1, float, mean);
ARGS(sy_adafactor_args);
LOCAL_SCRATCH;

void main()
{
    GROUP_GUARD(p.parts);
    const uint lid = LOCAL_ID, matrix = GROUP_ID;
    float sum = 0.0;
    for (uint i = lid; i < p.rows; i += WG)
        sum += r[matrix * p.rows + i];
    GROUP_SUM(sum, total);
    if (lid == 0u)
        mean[matrix] = total / float(p.rows);
}
