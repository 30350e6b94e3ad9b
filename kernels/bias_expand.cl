// SPDX-License-Identifier: Apache-2.0
// bias_expand: rel[h][d] = bias[bucket[d]][h].
//   bias [buckets, heads] t · bucket [span] i32 · rel [heads, span] f32
// Launch: one work-group does one head. Bit-equal everywhere.
#include "common.cl.h"

KERNEL void bias_expand(__global const T *restrict bias, __global const int *restrict bucket,
                        __global float *restrict rel, const struct sy_bias_args p)
{
    GROUP_GUARD(p.heads);
#include "bias_expand.h"
}
