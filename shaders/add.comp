#version 450
// SPDX-License-Identifier: Apache-2.0
// add: y[i] = a[i] + b[i].
//   a, b, y [n] t
// Launch: one work-group adds SY_CHUNK(WG) elements. No reduction: bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN4(0, T, a);
IN4(1, T, b);
OUT4(2, T, y);
ARGS(sy_add_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
    const uint lid = LOCAL_ID, start = GROUP_ID * SY_CHUNK(WG), count = min(SY_CHUNK(WG), p.n - start);
    for (uint i = start / 4u + lid; i < (start + count) / 4u; i += WG)
        T4_ST(y4, i, T4_LD(a4, i) + T4_LD(b4, i));
    for (uint i = count / 4u * 4u + lid; i < count; i += WG)
        T_ST(y, start + i, T_LD(a, start + i) + T_LD(b, start + i));
}
