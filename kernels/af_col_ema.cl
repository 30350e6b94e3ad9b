// SPDX-License-Identifier: Apache-2.0
// af_col_ema: Adafactor's column statistics: col = beta2·col + (1 − beta2)·(sum over blocks of part) / rows.
//   part [P,blocks,cols] f, c → col [P,cols] f (read and written)
// Launch: one work-group does SY_COLS(WG) columns of one matrix, blocks in order whatever WG and VEC are.
#include "common.cl.h"
#include "chunk.h"

KERNEL void af_col_ema(__global const float *restrict part, __constant struct sy_step *c, __global float *restrict col,
                       const struct sy_adafactor_args p)
{
    const uint strips = SY_PIECES(p.cols, SY_COLS(WG));
    GROUP_GUARD(p.parts * strips);
    const uint lid = LOCAL_ID, matrix = GROUP_ID / strips, first = GROUP_ID % strips * SY_COLS(WG);
    const uint n = min(SY_COLS(WG), p.cols - first), full = n - n % VEC;
    const float beta = c->beta2, rows = (float)p.rows;
    __global const float *pm = part + matrix * p.blocks * p.cols + first;
    __global float *cm = col + matrix * p.cols + first;
    for (uint j = lid * VEC; j < full; j += WG * VEC) {
        VF sum = (VF)(0.0f);
        for (uint b = 0u; b < p.blocks; ++b)
            sum += V_LOAD(0, pm + b * p.cols + j);
        V_STORE(beta * V_LOAD(0, cm + j) + (1.0f - beta) * (sum / rows), 0, cm + j);
    }
    for (uint j = full + lid; j < n; j += WG) {
        float sum = 0.0f;
        for (uint b = 0u; b < p.blocks; ++b)
            sum += pm[b * p.cols + j];
        cm[j] = beta * cm[j] + (1.0f - beta) * (sum / rows);
    }
}
