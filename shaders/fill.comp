#version 450
// SPDX-License-Identifier: Apache-2.0
// fill: y[i] = value.
//   y [n] f32
// Launch: one work-group fills SY_CHUNK(WG) elements. No reduction: bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

OUT(0, float, y);
ARGS(sy_fill_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
    const uint lid = LOCAL_ID, start = GROUP_ID * SY_CHUNK(WG), count = min(SY_CHUNK(WG), p.n - start);
    for (uint i = lid; i < count; i += WG)
        y[start + i] = p.value;
}
