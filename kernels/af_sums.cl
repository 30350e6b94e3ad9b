// SPDX-License-Identifier: Apache-2.0
// af_sums: all sums over the gradients and weights of a pack's factored matrices, in one pass, block by block:
//   rowsq = sum of g² over each row, part = sum of g² over each column of the block, gsq and wsq = sums of g² and w².
//   Of the gradient as it is: clipping's factor is known after the norm, which is made of gsq; af_row and af_col apply it.
//   table i, g, w [elements] f → rowsq [rows] f (partly written), part [parts] f: [blocks, cols] of each matrix,
//   wsq, gsq [blocks] f (partly written)
// Launch: one work-group does one block (matrices.h). The order of a sum depends on the block's shape, LANES and VEC only.
#include "common.cl.h"
#include "adafactor.cl.h"

KERNEL void af_sums(__global const int *restrict table, __global const float *restrict g,
                    __global const float *restrict w, __global float *restrict rowsq, __global float *restrict part,
                    __global float *restrict wsq, __global float *restrict gsq, const struct sy_matrices_args p)
{
    GROUP_GUARD(p.count);
    LOCAL_ARRAY(sums, (SY_MATRIX_ROWS + 1u) * LANES); // of w² over the block, then of g² over each row
    const uint lid = LOCAL_ID, id = p.first + GROUP_ID;
    const struct block b = block_of(table, p, id);
    const uint full = b.cols - b.cols % VEC;
    EACH_LANE (lane) {
        float w2_block = 0.0f;
        for (uint k = 0u; k < b.rows; ++k)
            sums[(k + 1u) * LANES + lane] = 0.0f;
        for (uint base = 0u; base < full; base += AF_STRIP) {
            VF col[AF_VECS];
            const uint vecs = af_vecs(base, full, lane), start = base + lane * VEC;
            AF_EACH (v, vecs)
                col[v] = (VF)(0.0f);
            for (uint k = 0u; k < b.rows; ++k) {
                __global const float *gr = g + b.at + k * b.cols + start, *wr = w + b.at + k * b.cols + start;
                VF g2 = (VF)(0.0f), w2 = (VF)(0.0f);
                AF_EACH (v, vecs) {
                    const VF gv = V_LOAD(0, gr + v * LANES * VEC), wv = V_LOAD(0, wr + v * LANES * VEC), sq = gv * gv;
                    g2 += sq;
                    col[v] += sq;
                    w2 += wv * wv;
                }
                sums[(k + 1u) * LANES + lane] += VSUM(g2);
                w2_block += VSUM(w2);
            }
            AF_EACH (v, vecs)
                V_STORE(col[v], 0, part + b.part + start + v * LANES * VEC);
        }
        for (uint j = full + lane; j < b.cols; j += LANES) {
            float col = 0.0f;
            for (uint k = 0u; k < b.rows; ++k) {
                const uint at = b.at + k * b.cols + j;
                const float sq = g[at] * g[at];
                sums[(k + 1u) * LANES + lane] += sq;
                col += sq;
                w2_block += w[at] * w[at];
            }
            part[b.part + j] = col;
        }
        sums[lane] = w2_block;
    }
    LANE_SUMS(sums, b.rows + 1u);
    for (uint k = lid; k < b.rows; k += WG)
        rowsq[b.row + k] = sums[(k + 1u) * LANES];
    if (lid == 0u) {
        float total = 0.0f;
        for (uint k = 0u; k < b.rows; ++k)
            total += sums[(k + 1u) * LANES];
        gsq[id] = total;
        wsq[id] = sums[0];
    }
}
