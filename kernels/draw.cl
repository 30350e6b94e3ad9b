// SPDX-License-Identifier: Apache-2.0
// draw: token[first + row], which is the row's most probable token, is drawn from the row instead: of the most probable
// `how` many, without the least probable ones that together weigh little, by weight (weigh.h).
//   x [rows, cols] f32 · how [SY_DRAW_WORDS] i32 · c · token [first + rows] i32, the rest of it untouched; nothing changes
//   where the scale is 0, or nothing weighs anything
// Launch: one work-group does one row. Weights are integers: the same token everywhere for equal x.
#include "common.cl.h"
#include "weigh.h"

#define BITS_FLOAT(x) as_float(x)
#if WG == 1
#define GROUP_COUNT(value, result) const uint result = (value)
#define GROUP_MASS(lo, hi)
#define COUNT_BEFORE(value) value = 0u
#define MASS_BEFORE(lo, hi) lo = hi = 0u
#else
#define GROUP_COUNT(value, result) \
    uint result = (value), none_ = 0u; \
    GROUP_MASS(result, none_)
#include "mass.h"
#endif

KERNEL void draw(__global const float *restrict x, __global const int *restrict how, __constant struct sy_step *c,
                 __global int *restrict token, const struct sy_draw_args p)
{
    GROUP_GUARD(p.rows);
#if WG > 1
    __local uint low[WG], high[WG];
#endif
#include "draw.h"
}
