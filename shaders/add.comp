#version 450
// SPDX-License-Identifier: Apache-2.0
// add: y[i] = a[i] + b[i].
//   a, b, y [n] t
// Launch: one work-group adds SY_CHUNK(WG) elements. No reduction: bit-equal everywhere.
#define VEC 4
#include "common.glsl"
#include "chunk.h"

IN4(0, T, a);
IN4(1, T, b);
OUT4(2, T, y);
ARGS(sy_add_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
#include "add.h"
}
