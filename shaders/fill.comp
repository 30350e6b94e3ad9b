#version 450
// SPDX-License-Identifier: Apache-2.0
// fill: y[i] = value.
//   y [n] f32
// Launch: one work-group fills SY_CHUNK(WG) elements. No reduction: bit-equal everywhere.
#define VEC 4
#include "common.glsl"
#include "chunk.h"

OUT4(0, float, y);
ARGS(sy_fill_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
#include "fill.h"
}
