#version 450
// SPDX-License-Identifier: Apache-2.0
// bias_bwd: dbias[s][b][h] = Σ drel[s][h][d] over all d with bucket[d] = b, added to dbias when p.accumulate.
//   drel [slices, heads, span] f32 · bucket [span] i32 · dbias [slices, buckets, heads] f32
// Launch: one work-group does one (slice, bucket, head).
// Determinism: one writer; the order of the sum depends on span and WG.
#include "common.glsl"

IN(0, float, drel);
IN(1, int, bucket);
INOUT(2, float, dbias);
ARGS(sy_bias_args);
LOCAL_SCRATCH;

void main()
{
    GROUP_GUARD(p.slices * p.buckets * p.heads);
    const uint lid = LOCAL_ID, b = GROUP_ID / p.heads % p.buckets, slice = GROUP_ID / p.heads / p.buckets;
    const uint row = (slice * p.heads + GROUP_ID % p.heads) * p.span;
    float sum = 0.0;
    for (uint d = lid; d < p.span; d += WG)
        sum += bucket[d] == int(b) ? drel[row + d] : 0.0;
    GROUP_SUM(sum, total);
    if (lid == 0u)
        dbias[GROUP_ID] = p.accumulate != 0u ? dbias[GROUP_ID] + total : total;
}
