#version 450
// SPDX-License-Identifier: Apache-2.0
// attention_delta: ld[b][h][i] = (lse, Σ_d o·do), the two numbers per query row that attention's backward needs.
// Σ_d o·do = Σ_j p·dp for dropped probabilities as well, so no probability is recomputed here.
//
//   o t, do t [B·tq, H·dim]   lse f [B, H, tq]   ld f [B, H, tq, 2]
//
// Launch:      one invocation does one (row, head) pair, heads fastest.
// Determinism: summed over dim in order.
#include "common.glsl"
IN(0, T, o);
IN(1, T, dout);
IN(2, float, lse);
OUT(3, float, ld);
ARGS(sy_attention_args);

void main()
{
    const uint n = p.batch * p.tq * p.heads;
    GROUP_GUARD((n + WG - 1u) / WG);
    const uint e = GROUP_ID * WG + LOCAL_ID;
    if (e >= n)
        return; // no barrier follows
    float delta = 0.0;
    for (uint d = 0u; d < p.dim; ++d)
        delta = fma(T_LD(o, e * p.dim + d), T_LD(dout, e * p.dim + d), delta);
    const uint row = e / p.heads, head = e % p.heads;
    const uint at = (row / p.tq * p.heads + head) * p.tq + row % p.tq;
    ld[2u * at] = lse[at];
    ld[2u * at + 1u] = delta;
}
