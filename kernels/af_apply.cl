// SPDX-License-Identifier: Apache-2.0
// af_apply: Adafactor's step for factored matrices: w -= scale·u.
//   u = g'·sqrt(mean)/sqrt(r)·1/sqrt(col) as in af_usq, g' = gs[0]·g: an exact 0 in g leaves w as it is.
//   g [P,rows,cols] f, r [P,rows] f, mean, scale [P] f, col [P,cols] f, gs [2] f → w [P,rows,cols] f (read and written)
// Launch: one work-group does SY_ROWS(WG) rows of one matrix. No reduction.
#include "common.cl.h"
#include "adafactor.cl.h"

KERNEL void af_apply(__global const float *restrict g, __global const float *restrict r,
                     __global const float *restrict mean, __global const float *restrict col,
                     __global const float *restrict scale, __global const float *restrict gs,
                     __global float *restrict w, const struct sy_adafactor_args p)
{
    const uint pieces = SY_PIECES(p.rows, SY_ROWS(WG)), full = p.cols - p.cols % VEC;
    GROUP_GUARD(p.parts * pieces);
    const uint lid = LOCAL_ID, matrix = GROUP_ID / pieces, first = GROUP_ID % pieces * SY_ROWS(WG);
    const uint row0 = matrix * p.rows + first, rows = min(SY_ROWS(WG), p.rows - first);
    const float root = sqrt(mean[matrix]), clip = gs[0], step = scale[matrix];
    __global const float *cm = col + matrix * p.cols;
    for (uint base = 0u; base < full; base += AF_STRIP) {
        VF factor[AF_VECS];
        const uint vecs = af_factors(cm, base, full, lid, factor);
        for (uint k = 0u; k < rows; ++k) {
            const uint start = (row0 + k) * p.cols + base + lid * VEC;
            const float row_factor = root / sqrt(r[row0 + k]);
            AF_EACH (v, vecs) {
                const uint at = start + v * WG * VEC;
                const VF u = V_LOAD(0, g + at) * clip * row_factor * factor[v];
                V_STORE(V_LOAD(0, w + at) - step * u, 0, w + at);
            }
        }
    }
    for (uint k = 0u; k < rows; ++k) {
        const uint start = (row0 + k) * p.cols;
        const float row_factor = root / sqrt(r[row0 + k]);
        for (uint j = full + lid; j < p.cols; j += WG) {
            const float u = g[start + j] * clip * row_factor * (1.0f / sqrt(cm[j]));
            w[start + j] -= step * u;
        }
    }
}
