// SPDX-License-Identifier: Apache-2.0
// af_apply: Adafactor's step for all factored matrices of a pack: w -= scale·u.
//   u = g'·sqrt(mean)/sqrt(r)·1/sqrt(col) as in af_usq, g' = gs[0]·g: an exact 0 in g leaves w as it is.
//   table i, g [elements] f, r [rows] f, mean, scale [matrices] f, col [cols] f, gs [2] f → w [elements] f (read, written)
// Launch: one work-group does one block (matrices.h). No reduction.
#include "common.cl.h"
#include "adafactor.cl.h"

KERNEL void af_apply(__global const int *restrict table, __global const float *restrict g,
                     __global const float *restrict r, __global const float *restrict mean,
                     __global const float *restrict col, __global const float *restrict scale,
                     __global const float *restrict gs, __global float *restrict w, const struct sy_matrices_args p)
{
    GROUP_GUARD(p.count);
    LOCAL_ARRAY(row_factor, SY_MATRIX_ROWS);
    const uint lid = LOCAL_ID;
    const struct block b = block_of(table, p, p.first + GROUP_ID);
    const uint full = b.cols - b.cols % VEC;
    const float root = sqrt(mean[b.matrix]), clip = gs[0], step = scale[b.matrix];
    for (uint k = lid; k < b.rows; k += WG)
        row_factor[k] = root / sqrt(r[b.row + k]);
    BARRIER();
    EACH_LANE (lane) {
        for (uint base = 0u; base < full; base += AF_STRIP) {
            VF factor[AF_VECS];
            const uint vecs = af_factors(col + b.col, base, full, lane, factor);
            for (uint k = 0u; k < b.rows; ++k) {
                const uint start = b.at + k * b.cols + base + lane * VEC;
                const float rf = row_factor[k];
                AF_EACH (v, vecs) {
                    const uint at = start + v * LANES * VEC;
                    const VF u = V_LOAD(0, g + at) * clip * rf * factor[v];
                    V_STORE(V_LOAD(0, w + at) - step * u, 0, w + at);
                }
            }
        }
        for (uint j = full + lane; j < b.cols; j += LANES) {
            const float factor = 1.0f / sqrt(col[b.col + j]);
            for (uint k = 0u; k < b.rows; ++k) {
                const uint at = b.at + k * b.cols + j;
                w[at] -= step * (g[at] * clip * row_factor[k] * factor);
            }
        }
    }
}
