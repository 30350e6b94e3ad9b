#version 450
// SPDX-License-Identifier: Apache-2.0
// router_softmax: lse[row] = log Σ_e exp(z[row, e]), p = exp(z − max) / Σ exp(z − max).
// round_bf16: z before and p after are rounded to bf16 values (the unstable all-bf16 router of Table 2).
//   z [rows, experts] f32 · p [rows, experts] f32 · lse [rows] f32
// Launch: one work-group does SY_ROWS(WG) rows. Equal logits give equal p; the order of the sum depends on WG.
#include "common.glsl"
#include "chunk.h"

IN(0, float, z);
OUT(1, float, prob);
OUT(2, float, lse);
ARGS(sy_router_softmax_args);
LOCAL_SCRATCH;

float narrowed(float x) { return p.round_bf16 != 0u ? bf16_to_float(float_to_bf16(x)) : x; }

void main()
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint row = first; row < first + count; ++row) {
        const uint at = row * p.experts;
        float peak = uintBitsToFloat(0xff800000u); // minus infinity
        for (uint e = lid; e < p.experts; e += WG)
            peak = max(peak, narrowed(z[at + e]));
        GROUP_MAX(peak, most);
        float sum = 0.0;
        for (uint e = lid; e < p.experts; e += WG)
            sum += exp(narrowed(z[at + e]) - most);
        GROUP_SUM(sum, total);
        for (uint e = lid; e < p.experts; e += WG)
            prob[at + e] = narrowed(exp(narrowed(z[at + e]) - most) / total);
        if (lid == 0u)
            lse[row] = most + log(total);
    }
}
