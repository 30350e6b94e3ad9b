#version 450
// SPDX-License-Identifier: Apache-2.0
// bias_bwd: dbias[b][h] = Σ drel[h][d] over all d with bucket[d] = b, added to dbias when p.accumulate.
//   drel [heads, span] f32 · bucket [span] i32 · dbias [buckets, heads] f32
// Launch: one work-group does one (bucket, head).
// Determinism: one writer; the order of the sum depends on span and WG.
#include "common.glsl"

IN(0, float, drel);
IN(1, int, bucket);
INOUT(2, float, dbias);
ARGS(sy_bias_args);
LOCAL_SCRATCH;

void main()
{
    GROUP_GUARD(p.buckets * p.heads);
    const uint lid = LOCAL_ID, b = GROUP_ID / p.heads, row = GROUP_ID % p.heads * p.span;
    float sum = 0.0;
    for (uint d = lid; d < p.span; d += WG)
        sum += bucket[d] == int(b) ? drel[row + d] : 0.0;
    GROUP_SUM(sum, total);
    if (lid == 0u)
        dbias[GROUP_ID] = p.accumulate != 0u ? dbias[GROUP_ID] + total : total;
}
