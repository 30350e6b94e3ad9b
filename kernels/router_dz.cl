// SPDX-License-Identifier: Apache-2.0
// router_dz: the gradient of gates, aux and z-loss with respect to the router's logits (spec §4.9):
//   dp_e = Σ_r dgate_r ∂gate_r/∂p_e + aux_coef · E · load[g, e] / n² · inv_groups,  n = Σ_e load[g, e]
//   dz = p ∘ (dp − Σ p·dp) + 2 · z_coef · inv_tokens · lse · p;  zeros where mask = 0
// dp is first reduced by the dp of an expert with p > 1/2, if there is one: the sum of all p is 1 but for rounding, and a
// router that is sure of itself has gradients no larger than that rounding times dp.
// kind 1 differentiates normalised gates. With k > 2 choice r belongs to expert r (route_take). Nothing flows through
// argmax, load or positions; a dropped choice comes with dgate 0.
//   p [rows, experts] f32 · lse [rows] f32 · expert [rows, k] i32 · dgate [rows, k] f32 · load [groups, experts] i32 ·
//   mask [rows] i32 · c · dz [rows, experts] f32
// Launch: one work-group does SY_ROWS(WG) rows. The order of the sums depends on experts, WG and VEC.
#include "common.cl.h"
#include "chunk.h"

// Up to two experts of a row and the gradient of their p; for k > 2 the columns of the row instead.
struct chosen {
    int e0, e1;
    float d0, d1;
    bool columns;
};

static inline struct chosen chosen(__global const float *x, __global const int *expert, __global const float *dgate, uint k,
                            uint kind)
{
    struct chosen r;
    r.columns = k > 2u;
    r.e0 = expert[0];
    r.e1 = k == 2u ? expert[1] : -1;
    r.d0 = r.e0 >= 0 ? dgate[0] : 0.0f;
    r.d1 = r.e1 >= 0 ? dgate[1] : 0.0f;
    if (kind == 1u && r.e0 >= 0 && r.e1 >= 0) {
        const float p0 = x[r.e0], p1 = x[r.e1], sum = p0 + p1, d = (r.d0 - r.d1) / sum;
        r.d0 = d * (p1 / sum);
        r.d1 = -d * (p0 / sum);
    } else if (kind == 1u) {
        r.d0 = r.d1 = 0.0f; // a single normalised gate is the constant 1
    }
    return r;
}

static inline float through_gates(const struct chosen r, __global const int *expert, __global const float *dgate, uint e)
{
    if (r.columns)
        return expert[e] >= 0 ? dgate[e] : 0.0f;
    return ((int)e == r.e0 ? r.d0 : 0.0f) + ((int)e == r.e1 ? r.d1 : 0.0f);
}

KERNEL void router_dz(__global const float *restrict prob, __global const float *restrict lse,
                      __global const int *restrict expert, __global const float *restrict dgate,
                      __global const int *restrict load, __global const int *restrict mask,
                      __constant struct sy_step *c, __global float *restrict dz, const struct sy_router_loss_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    const float inv_groups = p.stack != 0u ? c->inv_groups_dec : c->inv_groups_enc;
    const float inv_tokens = p.stack != 0u ? c->inv_tokens_dec : c->inv_tokens_enc;
    LOCAL_SCRATCH(scratch);
    for (uint row = first; row < first + count; ++row) {
        __global const float *x = prob + row * p.experts;
        __global const int *n_of = load + row / p.group * p.experts, *e_of = expert + row * p.k;
        __global const float *dg = dgate + row * p.k;
        __global float *y = dz + row * p.experts;
        const bool real = mask[row] != 0;
        const struct chosen r = chosen(x, e_of, dg, p.k, p.kind);
        float tokens = 0.0f, sure_load = 0.0f, sure_gate = 0.0f, weighted = 0.0f;
        for (uint e = lid; e < p.experts; e += WG) {
            const float n = p.aux_coef != 0.0f ? (float)n_of[e] : 0.0f;
            tokens += n;
            if (x[e] > 0.5f) {
                sure_load = n;
                sure_gate = through_gates(r, e_of, dg, e);
            }
        }
        GROUP_SUM(scratch, tokens, n_sum);
        GROUP_SUM(scratch, sure_load, n_base);
        GROUP_SUM(scratch, sure_gate, gate_base);
        const float share = n_sum > 0.0f ? p.aux_coef * (float)p.experts * inv_groups / n_sum / n_sum : 0.0f;
        const float from_z = 2.0f * p.z_coef * inv_tokens * lse[row];
        for (uint e = lid; e < p.experts; e += WG) {
            const float n = p.aux_coef != 0.0f ? (float)n_of[e] : 0.0f;
            weighted = fma(x[e], (through_gates(r, e_of, dg, e) - gate_base) + share * (n - n_base), weighted);
        }
        GROUP_SUM(scratch, weighted, mean);
        for (uint e = lid; e < p.experts; e += WG) {
            const float n = p.aux_coef != 0.0f ? (float)n_of[e] : 0.0f;
            const float d = (through_gates(r, e_of, dg, e) - gate_base) + share * (n - n_base) - mean;
            y[e] = real ? x[e] * (d + from_z) : 0.0f;
        }
    }
}
