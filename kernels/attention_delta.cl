// SPDX-License-Identifier: Apache-2.0
// attention_delta: ld[b][h][i] = (lse, Σ_d o·do), the two numbers per query row that attention's backward needs.
// Σ_d o·do = Σ_j p·dp for dropped probabilities as well, so no probability is recomputed here.
//
//   o t, do t [B·tq, H·dim]   lse f [B, H, tq]   ld f [B, H, tq, 2]
//
// Launch:      one item does one (row, head) pair, heads fastest; a CPU work-group does 64 of them.
// Determinism: VEC partial sums over dim, then a pairwise sum, then the tail in order.
#include "common.cl.h"

#if WG == 1
#define PAIRS 64u // of one work-group
#else
#define PAIRS WG
#endif

KERNEL void attention_delta(__global const T *restrict o, __global const T *restrict dout,
                            __global const float *restrict lse, __global float *restrict ld,
                            const struct sy_attention_args p)
{
    const uint lid = LOCAL_ID;
    const uint n = p.batch * p.tq * p.heads;
    for (uint e = GROUP_ID * PAIRS + lid; e < min(n, (GROUP_ID + 1u) * PAIRS); e += WG) {
        __global const T *x = o + e * p.dim, *y = dout + e * p.dim;
        VF sums = 0.0f;
        uint d = 0;
        for (; d + VEC <= p.dim; d += VEC)
            sums = fma(T_LDV(x, d), T_LDV(y, d), sums);
        float delta = VSUM(sums);
        for (; d < p.dim; ++d)
            delta = fma(T_LD(x, d), T_LD(y, d), delta);
        const uint row = e / p.heads, head = e % p.heads;
        const uint at = (row / p.tq * p.heads + head) * p.tq + row % p.tq;
        ld[2u * at] = lse[at];
        ld[2u * at + 1u] = delta;
    }
}
