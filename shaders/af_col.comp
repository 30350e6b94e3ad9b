// SPDX-License-Identifier: Apache-2.0
// af_col: Adafactor's column sums, first half: part[b] = column sums of (g'² + 1e-30) over row block b; g' = gs[0]·g.
//   Block b of a matrix is b-th of `blocks` equal blocks of ceil(rows/blocks) rows; af_col_ema adds the blocks up.
//   g [P,rows,cols] f, gs [2] f → part [P,blocks,cols] f
// Launch: one work-group does SY_COLS(WG) columns of one block, rows in ascending order whatever WG is.
#version 450
#include "common.glsl"
#include "chunk.h"

IN(0, float, g);
IN(1, float, gs);
OUT(2, float, part);
ARGS(sy_adafactor_args);

void main()
{
    const uint strips = SY_PIECES(p.cols, SY_COLS(WG));
    GROUP_GUARD(p.parts * p.blocks * strips);
    const uint lid = LOCAL_ID, strip = GROUP_ID % strips, block = GROUP_ID / strips; // block counts over all matrices
    const uint size = SY_PIECES(p.rows, p.blocks), in_matrix = block % p.blocks;
    const uint begin = min(in_matrix * size, p.rows), end = min(begin + size, p.rows);
    const uint col = strip * SY_COLS(WG), n = min(SY_COLS(WG), p.cols - col);
    const uint matrix = block / p.blocks * p.rows * p.cols + col;
    const float clip = gs[0];
    for (uint j = lid; j < n; j += WG) { // neighbouring invocations read neighbouring columns
        float sum = 0.0;
        for (uint row = begin; row < end; ++row) {
            const float v = g[matrix + row * p.cols + j] * clip;
            sum += v * v + 1e-30;
        }
        part[block * p.cols + col + j] = sum;
    }
}
