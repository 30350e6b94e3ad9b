// SPDX-License-Identifier: Apache-2.0
// af_col: Adafactor's column statistics, for all factored matrices of a pack:
//   col = beta2·col + (1 − beta2)·(gs[0]²·(sum of part over the matrix's blocks) / rows + 1e-30)
//   table i, part [parts] f, gs [2] f, c → col [cols] f (read and written)
// Launch: one work-group does one strip of a matrix: blocks in order, AF_RUN added up by themselves, whatever WG and VEC.
#version 450
#include "common.glsl"
#include "matrices.glsl"

#define AF_RUN 16u // blocks

IN(1, float, part);
IN(2, float, gs);
STEP(3);
INOUT(4, float, col);
ARGS(sy_matrices_args);

void main()
{
    GROUP_GUARD(p.count);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID, t = matrix_row(p.entries, SY_MATRIX_STRIP_0, id);
    const uint height = FIELD(t, HEIGHT), cols = FIELD(t, WIDTH), number = id - FIELD(t, STRIP_0);
    const uint strips = SY_PIECES(cols, SY_MATRIX_STRIP), blocks = SY_PIECES(height, SY_MATRIX_ROWS);
    const uint matrix = number / strips, first = number % strips * SY_MATRIX_STRIP;
    const uint n = min(SY_MATRIX_STRIP, cols - first);
    const uint pm = FIELD(t, PART) + matrix * blocks * cols - p.part_base + first, cm = FIELD(t, COL) + matrix * cols + first;
    const float clip = gs[0];
    for (uint j = lid; j < n; j += WG) {
        float sum = 0.0;
        for (uint run = 0u; run < blocks; run += AF_RUN) {
            float some = 0.0;
            for (uint b = run; b < min(run + AF_RUN, blocks); ++b)
                some += part[pm + b * cols + j];
            sum += some;
        }
        col[cm + j] = c.beta2 * col[cm + j] + (1.0 - c.beta2) * (sum * clip * clip / float(height) + 1e-30);
    }
}
