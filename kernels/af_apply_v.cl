// SPDX-License-Identifier: Apache-2.0
// af_apply_v: Adafactor's step with the full second moment: w -= scale·g'/sqrt(v); g' = gs[0]·g.
//   An exact 0 in g leaves w as it is.
//   g, v [P,rows,cols] f, scale [P] f, gs [2] f → w [P,rows,cols] f (read and written)
// Launch: one work-group does SY_CHUNK(WG) elements of one matrix. No reduction.
#include "common.cl.h"
#include "chunk.h"

KERNEL void af_apply_v(__global const float *restrict g, __global const float *restrict v,
                       __global const float *restrict scale, __global const float *restrict gs,
                       __global float *restrict w, const struct sy_adafactor_args p)
{
    const uint size = p.rows * p.cols, pieces = SY_PIECES(size, SY_CHUNK(WG));
    GROUP_GUARD(p.parts * pieces);
    const uint lid = LOCAL_ID, matrix = GROUP_ID / pieces, first = GROUP_ID % pieces * SY_CHUNK(WG);
    const uint start = matrix * size + first, n = min(SY_CHUNK(WG), size - first), full = n - n % VEC;
    const float clip = gs[0], step = scale[matrix];
    for (uint i = lid * VEC; i < full; i += WG * VEC) {
        const VF u = V_LOAD(0, g + start + i) * clip / sqrt(V_LOAD(0, v + start + i));
        V_STORE(V_LOAD(0, w + start + i) - step * u, 0, w + start + i);
    }
    for (uint i = start + full + lid; i < start + n; i += WG)
        w[i] -= step * (g[i] * clip / sqrt(v[i]));
}
