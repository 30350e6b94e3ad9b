// SPDX-License-Identifier: Apache-2.0
// cast: y[i] = x[i], rounded to nearest even when y is bf16.
//   x [n] f32 · y [n] t
// Launch: one work-group converts SY_CHUNK(WG) elements. No reduction: bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void cast(__global const float *restrict x, __global T *restrict y, const struct sy_cast_args p)
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
    const uint lid = LOCAL_ID, start = GROUP_ID * SY_CHUNK(WG), count = min(SY_CHUNK(WG), p.n - start);
    for (uint i = lid * VEC; i < count; i += WG * VEC) {
        if (i + VEC <= count) {
            T_STV(y, start + i, V_LOAD(0, x + start + i));
        } else {
            for (uint j = start + i; j < start + count; ++j)
                T_ST(y, j, x[j]);
        }
    }
}
