#version 450
// SPDX-License-Identifier: Apache-2.0
// bias_expand: rel[h][d] = bias[bucket[d]][h].
//   bias [buckets, heads] t · bucket [span] i32 · rel [heads, span] f32
// Launch: one work-group does one head. Bit-equal everywhere.
#include "common.glsl"

IN(0, T, bias);
IN(1, int, bucket);
OUT(2, float, rel);
ARGS(sy_bias_args);

void main()
{
    GROUP_GUARD(p.heads);
#include "bias_expand.h"
}
