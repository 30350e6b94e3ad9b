// SPDX-License-Identifier: Apache-2.0
// af_col: Adafactor's column statistics, for all factored matrices of a pack:
//   col = beta2·col + (1 − beta2)·(gs[0]²·(sum of part over the matrix's blocks) / rows + 1e-30)
//   table i, part [parts] f, gs [2] f, c → col [cols] f (read and written)
// Launch: one work-group does one strip of a matrix: blocks in order, AF_RUN added up by themselves, whatever WG and VEC.
#include "common.cl.h"
#include "matrices.cl.h"

#define AF_RUN 16u // blocks

KERNEL void af_col(__global const int *restrict table, __global const float *restrict part,
                   __global const float *restrict gs, __constant struct sy_step *c, __global float *restrict col,
                   const struct sy_matrices_args p)
{
    GROUP_GUARD(p.count);
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID;
    __global const int *t = matrix_row(table, p.entries, SY_MATRIX_STRIP_0, id);
    const uint height = FIELD(t, HEIGHT), cols = FIELD(t, WIDTH), number = id - FIELD(t, STRIP_0);
    const uint strips = SY_PIECES(cols, SY_MATRIX_STRIP), blocks = SY_PIECES(height, SY_MATRIX_ROWS);
    const uint matrix = number / strips, first = number % strips * SY_MATRIX_STRIP;
    const uint n = min(SY_MATRIX_STRIP, cols - first), full = n - n % VEC;
    const float clip = gs[0], beta = c->beta2, rows = (float)height;
    __global const float *pm = part + (FIELD(t, PART) + matrix * blocks * cols - p.part_base) + first;
    __global float *cm = col + FIELD(t, COL) + matrix * cols + first;
    for (uint j = lid * VEC; j < full; j += WG * VEC) {
        VF sum = (VF)(0.0f);
        for (uint run = 0u; run < blocks; run += AF_RUN) {
            VF some = (VF)(0.0f);
            for (uint b = run; b < min(run + AF_RUN, blocks); ++b)
                some += V_LOAD(0, pm + b * cols + j);
            sum += some;
        }
        V_STORE(beta * V_LOAD(0, cm + j) + (1.0f - beta) * (sum * clip * clip / rows + 1e-30f), 0, cm + j);
    }
    for (uint j = full + lid; j < n; j += WG) {
        float sum = 0.0f;
        for (uint run = 0u; run < blocks; run += AF_RUN) {
            float some = 0.0f;
            for (uint b = run; b < min(run + AF_RUN, blocks); ++b)
                some += pm[b * cols + j];
            sum += some;
        }
        cm[j] = beta * cm[j] + (1.0f - beta) * (sum * clip * clip / rows + 1e-30f);
    }
}
