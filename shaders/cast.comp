#version 450
// SPDX-License-Identifier: Apache-2.0
// cast: y[i] = x[i], rounded to nearest even when y is bf16.
//   x [n] f32 · y [n] t
// Launch: one work-group converts SY_CHUNK(WG) elements. No reduction: bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN4(0, float, x);
OUT4(1, T, y);
ARGS(sy_cast_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
    const uint lid = LOCAL_ID, start = GROUP_ID * SY_CHUNK(WG), count = min(SY_CHUNK(WG), p.n - start);
    for (uint i = start / 4u + lid; i < (start + count) / 4u; i += WG)
        T4_ST(y4, i, x4[i]);
    for (uint i = count / 4u * 4u + lid; i < count; i += WG)
        T_ST(y, start + i, x[start + i]);
}
