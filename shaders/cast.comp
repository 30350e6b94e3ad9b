#version 450
// SPDX-License-Identifier: Apache-2.0
// cast: y[i] = x[i], rounded to nearest even when y is bf16.
//   x [n] f32 · y [n] t
// Launch: one work-group converts SY_CHUNK(WG) elements. No reduction: bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN(0, float, x);
OUT(1, T, y);
ARGS(sy_cast_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
    const uint lid = LOCAL_ID, start = GROUP_ID * SY_CHUNK(WG), count = min(SY_CHUNK(WG), p.n - start);
    for (uint i = lid; i < count; i += WG)
        T_ST(y, start + i, x[start + i]);
}
