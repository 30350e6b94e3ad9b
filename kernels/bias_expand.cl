// SPDX-License-Identifier: Apache-2.0
// bias_expand: rel[h][d] = bias[bucket[d]][h].
//   bias [buckets, heads] t · bucket [span] i32 · rel [heads, span] f32
// Launch: one work-group does one head. Bit-equal everywhere.
#include "common.cl.h"

KERNEL void bias_expand(__global const T *restrict bias, __global const int *restrict bucket,
                        __global float *restrict rel, const struct sy_bias_args p)
{
    GROUP_GUARD(p.heads);
    const uint lid = LOCAL_ID, h = GROUP_ID;
    for (uint d = lid; d < p.span; d += WG) {
        const uint b = min((uint)bucket[d], p.buckets - 1u); // the host made them; clamped only to stay in memory
        rel[h * p.span + d] = T_LD(bias, b * p.heads + h);
    }
}
