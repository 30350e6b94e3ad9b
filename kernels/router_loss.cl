// SPDX-License-Identifier: Apache-2.0
// router_loss: of each group g, over its n rows with mask ≠ 0 (padding and groups without tokens give 0):
//   loss[g, 0] = aux_coef · E · Σ_e f_e P_e, f_e = load[g, e] / n (choices before drops), P_e = Σ_rows p / n
//   loss[g, 1] = z_coef · inv_tokens · Σ_rows lse²
//   p [rows, experts] f32 · lse [rows] f32 · load [groups, experts] i32 · mask [rows] i32 · c · loss [groups, 2] f32
// Launch: one work-group does a group; an item sums whole rows, WG apart (Σ_e load_e Σ_rows p = Σ_rows Σ_e load_e p).
// Determinism: the order of the sums depends on the shapes, WG and VEC.
#include "common.cl.h"

#define BLOCK 64u // rows added up apart, so that long sums lose little

static inline float load_times_p(__global const float *x, __global const int *load, uint experts)
{
    const uint vectors = experts / VEC * VEC;
    VF sums = (VF)(0.0f);
    for (uint e = 0u; e < vectors; e += VEC)
        sums = fma(SY_CAT(convert_float, VEC)(V_LOAD(0, load + e)), V_LOAD(0, x + e), sums);
    float sum = VSUM(sums);
    for (uint e = vectors; e < experts; ++e)
        sum = fma((float)load[e], x[e], sum);
    return sum;
}

KERNEL void router_loss(__global const float *restrict prob, __global const float *restrict lse,
                        __global const int *restrict load, __global const int *restrict mask,
                        __constant struct sy_step *c, __global float *restrict loss, const struct sy_router_loss_args p)
{
    GROUP_GUARD(p.groups);
    const uint lid = LOCAL_ID, g = GROUP_ID, first = g * p.group, rows = min(p.group, p.rows - first);
    LOCAL_SCRATCH(scratch);
    float tokens = 0.0f, shares = 0.0f, squares = 0.0f;
    for (uint block = lid; block < rows; block += WG * BLOCK) {
        const uint end = min(block + WG * BLOCK, rows);
        float share = 0.0f, square = 0.0f;
        for (uint t = block; t < end; t += WG) {
            const uint row = first + t;
            if (mask[row] == 0)
                continue;
            tokens += 1.0f;
            square = fma(lse[row], lse[row], square);
            if (p.aux_coef != 0.0f)
                share += load_times_p(prob + row * p.experts, load + g * p.experts, p.experts);
        }
        shares += share;
        squares += square;
    }
    GROUP_SUM(scratch, tokens, n);
    GROUP_SUM(scratch, shares, share_sum);
    GROUP_SUM(scratch, squares, square_sum);
    if (lid == 0u) {
        const float inv_tokens = p.stack != 0u ? c->inv_tokens_dec : c->inv_tokens_enc;
        loss[2u * g] = n > 0.0f ? p.aux_coef * (float)p.experts * (share_sum / n) / n : 0.0f;
        loss[2u * g + 1u] = n > 0.0f ? p.z_coef * (square_sum * inv_tokens) : 0.0f;
    }
}
