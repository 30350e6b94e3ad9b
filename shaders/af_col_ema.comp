// SPDX-License-Identifier: Apache-2.0
// af_col_ema: Adafactor's column statistics: col = beta2·col + (1 − beta2)·(sum over blocks of part) / rows.
//   part [P,blocks,cols] f, c → col [P,cols] f (read and written)
// Launch: one work-group does SY_COLS(WG) columns of one matrix, blocks in order whatever WG is.
#version 450
#include "common.glsl"
#include "chunk.h"

IN(0, float, part);
STEP(1);
INOUT(2, float, col);
ARGS(sy_adafactor_args);

void main()
{
    const uint strips = SY_PIECES(p.cols, SY_COLS(WG));
    GROUP_GUARD(p.parts * strips);
    const uint lid = LOCAL_ID, matrix = GROUP_ID / strips, first = GROUP_ID % strips * SY_COLS(WG);
    const uint n = min(SY_COLS(WG), p.cols - first);
    const float beta = c.beta2, rows = float(p.rows);
    for (uint j = lid; j < n; j += WG) {
        float sum = 0.0;
        for (uint b = 0u; b < p.blocks; ++b)
            sum += part[(matrix * p.blocks + b) * p.cols + first + j];
        const uint at = matrix * p.cols + first + j;
        col[at] = beta * col[at] + (1.0 - beta) * (sum / rows);
    }
}
