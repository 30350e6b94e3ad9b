// SPDX-License-Identifier: Apache-2.0
// fill: y[i] = value.
//   y [n] f32
// Launch: one work-group fills SY_CHUNK(WG) elements. No reduction: bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void fill(__global float *restrict y, const struct sy_fill_args p)
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
    const uint lid = LOCAL_ID, start = GROUP_ID * SY_CHUNK(WG), count = min(SY_CHUNK(WG), p.n - start);
    for (uint i = lid * VEC; i < count; i += WG * VEC) {
        if (i + VEC <= count) {
            V_STORE((VF)(p.value), 0, y + start + i);
        } else {
            for (uint j = i; j < count; ++j)
                y[start + j] = p.value;
        }
    }
}
