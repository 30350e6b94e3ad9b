// SPDX-License-Identifier: Apache-2.0
// af_col: Adafactor's column sums, first half: part[b] = column sums of (g'² + 1e-30) over row block b; g' = gs[0]·g.
//   Block b of a matrix is b-th of `blocks` equal blocks of ceil(rows/blocks) rows; af_col_ema adds the blocks up.
//   g [P,rows,cols] f, gs [2] f → part [P,blocks,cols] f
// Launch: one work-group does SY_COLS(WG) columns of one block, rows in ascending order whatever WG and VEC are.
#include "common.cl.h"
#include "chunk.h"

KERNEL void af_col(__global const float *restrict g, __global const float *restrict gs, __global float *restrict part,
                   const struct sy_adafactor_args p)
{
    const uint strips = SY_PIECES(p.cols, SY_COLS(WG));
    GROUP_GUARD(p.parts * p.blocks * strips);
    const uint strip = GROUP_ID % strips, block = GROUP_ID / strips; // block counts over all matrices
    const uint size = SY_PIECES(p.rows, p.blocks), in_matrix = block % p.blocks;
    const uint begin = min(in_matrix * size, p.rows), end = min(begin + size, p.rows);
    const uint col = strip * SY_COLS(WG), n = min(SY_COLS(WG), p.cols - col);
    const float clip = gs[0];
    __global const float *gb = g + block / p.blocks * p.rows * p.cols + col;
    __global float *pb = part + block * p.cols + col;
    float sum[SY_COLS(WG) / WG];
    for (uint k = 0u; k < SY_COLS(WG) / WG; ++k)
        sum[k] = 0.0f;
#if WG == 1
    const uint full = n - n % VEC;
    for (uint row = begin; row < end; ++row) {
        __global const float *gr = gb + row * p.cols;
        for (uint j = 0u; j < full; j += VEC) {
            const VF v = V_LOAD(0, gr + j) * clip;
            V_STORE(V_LOAD(0, sum + j) + (v * v + 1e-30f), 0, sum + j);
        }
        for (uint j = full; j < n; ++j) {
            const float v = gr[j] * clip;
            sum[j] += v * v + 1e-30f;
        }
    }
    for (uint j = 0u; j < n; ++j)
        pb[j] = sum[j];
#else
    const uint lid = LOCAL_ID;
    for (uint row = begin; row < end; ++row) {
        for (uint k = 0u; k < SY_COLS(WG) / WG; ++k) { // neighbouring items read neighbouring columns
            const uint j = k * WG + lid;
            const float v = j < n ? gb[row * p.cols + j] * clip : 0.0f;
            sum[k] += v * v + 1e-30f;
        }
    }
    for (uint k = 0u; k < SY_COLS(WG) / WG; ++k)
        if (k * WG + lid < n)
            pb[k * WG + lid] = sum[k];
#endif
}
