// SPDX-License-Identifier: Apache-2.0
// add: y[i] = a[i] + b[i].
//   a, b, y [n] t
// Launch: one work-group adds SY_CHUNK(WG) elements. No reduction: bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void add(__global const T *restrict a, __global const T *restrict b, __global T *restrict y,
                const struct sy_add_args p)
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
    const uint lid = LOCAL_ID, start = GROUP_ID * SY_CHUNK(WG), count = min(SY_CHUNK(WG), p.n - start);
    for (uint i = lid * VEC; i < count; i += WG * VEC) {
        if (i + VEC <= count) {
            T_STV(y, start + i, T_LDV(a, start + i) + T_LDV(b, start + i));
        } else {
            for (uint j = start + i; j < start + count; ++j)
                T_ST(y, j, T_LD(a, j) + T_LD(b, j));
        }
    }
}
