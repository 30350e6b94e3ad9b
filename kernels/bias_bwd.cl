// SPDX-License-Identifier: Apache-2.0
// bias_bwd: dbias[s][b][h] = Σ drel[s][h][d] over all d with bucket[d] = b, added to dbias when p.accumulate.
//   drel [slices, heads, span] f32 · bucket [span] i32 · dbias [slices, buckets, heads] f32
// Launch: one work-group does one (slice, bucket, head).
// Determinism: one writer; the order of the sum depends on span, WG and VEC.
#include "common.cl.h"

KERNEL void bias_bwd(__global const float *restrict drel, __global const int *restrict bucket,
                     __global float *restrict dbias, const struct sy_bias_args p)
{
    GROUP_GUARD(p.slices * p.buckets * p.heads);
    const uint lid = LOCAL_ID, b = GROUP_ID / p.heads % p.buckets, vectors = p.span / VEC * VEC;
    const uint slice = GROUP_ID / p.heads / p.buckets;
    __global const float *row = drel + (slice * p.heads + GROUP_ID % p.heads) * p.span;
    LOCAL_SCRATCH(scratch);
    VF sums = (VF)(0.0f);
    for (uint d = lid * VEC; d < vectors; d += WG * VEC)
        sums += select((VF)(0.0f), V_LOAD(0, row + d), V_LOAD(0, bucket + d) == (int)b);
    float sum = VSUM(sums);
    for (uint d = vectors + lid; d < p.span; d += WG)
        sum += bucket[d] == (int)b ? row[d] : 0.0f;
    GROUP_SUM(scratch, sum, total);
    if (lid == 0u)
        dbias[GROUP_ID] = p.accumulate != 0u ? dbias[GROUP_ID] + total : total;
}
