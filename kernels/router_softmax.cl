// SPDX-License-Identifier: Apache-2.0
// router_softmax: lse[row] = log Σ_e exp(z[row, e]), p = exp(z − max) / Σ exp(z − max).
// round_bf16: z before and p after are rounded to bf16 values (the unstable all-bf16 router of Table 2).
//   z [rows, experts] f32 · p [rows, experts] f32 · lse [rows] f32
// Launch: one work-group does SY_ROWS(WG) rows. Equal logits give equal p; the order of the sum depends on WG and VEC.
#include "common.cl.h"
#include "chunk.h"
#include "exp.cl.h"

KERNEL void router_softmax(__global const float *restrict z, __global float *restrict prob,
                           __global float *restrict lse, const struct sy_router_softmax_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    const uint vectors = p.experts / VEC * VEC;
    const bool narrow = p.round_bf16 != 0u;
    LOCAL_SCRATCH(scratch);
    for (uint row = first; row < first + count; ++row) {
        __global const float *x = z + row * p.experts;
        __global float *y = prob + row * p.experts;
        VF peaks = (VF)(-INFINITY);
        for (uint e = lid * VEC; e < vectors; e += WG * VEC) {
            const VF v = V_LOAD(0, x + e);
            peaks = select(peaks, v, v > peaks);
        }
        float peak = VMAX(peaks);
        for (uint e = vectors + lid; e < p.experts; e += WG)
            peak = fmax(peak, x[e]);
        GROUP_MAX(scratch, peak, top);
        const float most = narrow ? bf16_load(bf16_round(top)) : top; // rounding keeps order
        VF sums = (VF)(0.0f);
        for (uint e = lid * VEC; e < vectors; e += WG * VEC) {
            const VF v = V_LOAD(0, x + e);
            const VF power = E_TO_THE((narrow ? bf16_load_v(bf16_round_v(v)) : v) - most);
            sums += power;
            if (ALONE) // a CPU keeps it: computing takes longer than the cache
                V_STORE(power, 0, y + e);
        }
        float sum = VSUM(sums);
        for (uint e = vectors + lid; e < p.experts; e += WG)
            sum += E_TO_THE((narrow ? bf16_load(bf16_round(x[e])) : x[e]) - most);
        GROUP_SUM(scratch, sum, total);
        const float part = 1.0f / total;
        for (uint e = lid * VEC; e < vectors; e += WG * VEC) {
            const VF v = V_LOAD(0, (ALONE ? y : x) + e);
            const VF q = (ALONE ? v : E_TO_THE((narrow ? bf16_load_v(bf16_round_v(v)) : v) - most)) * part;
            V_STORE(narrow ? bf16_load_v(bf16_round_v(q)) : q, 0, y + e);
        }
        for (uint e = vectors + lid; e < p.experts; e += WG) {
            const float q = E_TO_THE((narrow ? bf16_load(bf16_round(x[e])) : x[e]) - most) * part;
            y[e] = narrow ? bf16_load(bf16_round(q)) : q;
        }
        if (lid == 0u)
            lse[row] = most + log(total);
    }
}
