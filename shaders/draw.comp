#version 450
// SPDX-License-Identifier: Apache-2.0
// draw: token[first + row], which is the row's most probable token, is drawn from the row instead: of the most probable
// `how` many, without the least probable ones that together weigh little, by weight (weigh.h).
//   x [rows, cols] f32 · how [SY_DRAW_WORDS] i32 · c · token [first + rows] i32, the rest of it untouched; nothing changes
//   where the scale is 0, or nothing weighs anything
// Launch: one work-group does one row. Weights are integers: the same token everywhere for equal x.
#include "common.glsl"
#include "weigh.h"
#include "mass.h"

#define BITS_FLOAT(x) uintBitsToFloat(uint(x))
#define GROUP_COUNT(value, result) \
    uint result = (value), none_ = 0u; \
    GROUP_MASS(result, none_)

IN(0, float, x);
IN(1, int, how);
STEP(2);
INOUT(3, int, token);
ARGS(sy_draw_args);
shared uint low[WG];
shared uint high[WG];

void main()
{
    GROUP_GUARD(p.rows);
#include "draw.h"
}
