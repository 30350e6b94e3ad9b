#version 450
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
// Launch: one work-group does SY_ROWS(WG) rows. The order of the sums depends on experts and WG.
#include "common.glsl"
#include "chunk.h"

IN(0, float, prob);
IN(1, float, lse);
IN(2, int, expert);
IN(3, float, dgate);
IN(4, int, load);
IN(5, int, mask);
STEP(6);
OUT(7, float, dz);
ARGS(sy_router_loss_args);
LOCAL_SCRATCH;

// Up to two experts of a row and the gradient of their p; for k > 2 the columns of the row instead.
struct chosen_experts {
    int e0, e1;
    float d0, d1;
};

chosen_experts chosen(uint row)
{
    const uint at = row * p.k;
    chosen_experts r;
    r.e0 = expert[at];
    r.e1 = -1;
    if (p.k == 2u)
        r.e1 = expert[at + 1u];
    r.d0 = r.d1 = 0.0;
    if (r.e0 >= 0)
        r.d0 = dgate[at];
    if (r.e1 >= 0)
        r.d1 = dgate[at + 1u];
    if (p.kind == 1u && r.e0 >= 0 && r.e1 >= 0) {
        const float p0 = prob[row * p.experts + uint(r.e0)], p1 = prob[row * p.experts + uint(r.e1)];
        const float sum = p0 + p1, d = (r.d0 - r.d1) / sum;
        r.d0 = d * (p1 / sum);
        r.d1 = -d * (p0 / sum);
    } else if (p.kind == 1u) {
        r.d0 = r.d1 = 0.0; // a single normalised gate is the constant 1
    }
    return r;
}

float through_gates(chosen_experts r, uint row, uint e)
{
    if (p.k > 2u)
        return expert[row * p.k + e] >= 0 ? dgate[row * p.k + e] : 0.0;
    return (int(e) == r.e0 ? r.d0 : 0.0) + (int(e) == r.e1 ? r.d1 : 0.0);
}

void main()
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    const float inv_groups = p.stack != 0u ? c.inv_groups_dec : c.inv_groups_enc;
    const float inv_tokens = p.stack != 0u ? c.inv_tokens_dec : c.inv_tokens_enc;
    for (uint row = first; row < first + count; ++row) {
        const uint at = row * p.experts, cell = row / p.group * p.experts;
        const bool real = mask[row] != 0;
        const chosen_experts r = chosen(row);
        float tokens = 0.0, sure_load = 0.0, sure_gate = 0.0, weighted = 0.0;
        for (uint e = lid; e < p.experts; e += WG) {
            const float n = p.aux_coef != 0.0 ? float(load[cell + e]) : 0.0;
            tokens += n;
            if (prob[at + e] > 0.5) {
                sure_load = n;
                sure_gate = through_gates(r, row, e);
            }
        }
        GROUP_SUM(tokens, n_sum);
        GROUP_SUM(sure_load, n_base);
        GROUP_SUM(sure_gate, gate_base);
        const float share = n_sum > 0.0 ? p.aux_coef * float(p.experts) * inv_groups / n_sum / n_sum : 0.0;
        const float from_z = 2.0 * p.z_coef * inv_tokens * lse[row];
        for (uint e = lid; e < p.experts; e += WG) {
            const float n = p.aux_coef != 0.0 ? float(load[cell + e]) : 0.0;
            weighted = fma(prob[at + e], (through_gates(r, row, e) - gate_base) + share * (n - n_base), weighted);
        }
        GROUP_SUM(weighted, mean);
        for (uint e = lid; e < p.experts; e += WG) {
            const float n = p.aux_coef != 0.0 ? float(load[cell + e]) : 0.0;
            const float d = (through_gates(r, row, e) - gate_base) + share * (n - n_base) - mean;
            dz[at + e] = real ? prob[at + e] * (d + from_z) : 0.0;
        }
    }
}
