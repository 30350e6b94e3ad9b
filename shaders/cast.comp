#version 450
// SPDX-License-Identifier: Apache-2.0
// cast: y[i] = x[i], rounded to nearest even when y is bf16.
//   x [n] f32 · y [n] t
// Launch: one work-group converts SY_CHUNK(WG) elements. No reduction: bit-equal everywhere.
#define VEC 4
#include "common.glsl"
#include "chunk.h"

IN4(0, float, x);
OUT4(1, T, y);
ARGS(sy_cast_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
#include "cast.h"
}
