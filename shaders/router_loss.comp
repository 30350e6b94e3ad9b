#version 450
// SPDX-License-Identifier: Apache-2.0
// router_loss: of each group g, over its n rows with mask ≠ 0 (padding and groups without tokens give 0):
//   loss[g, 0] = aux_coef · E · Σ_e f_e P_e, f_e = load[g, e] / n (choices before drops), P_e = Σ_rows p / n
//   loss[g, 1] = z_coef · inv_tokens · Σ_rows lse²
//   p [rows, experts] f32 · lse [rows] f32 · load [groups, experts] i32 · mask [rows] i32 · c · loss [groups, 2] f32
// Launch: one work-group does a group; an item sums whole rows, WG apart (Σ_e load_e Σ_rows p = Σ_rows Σ_e load_e p).
// Determinism: the order of the sums depends on the shapes and WG.
#include "common.glsl"

IN(0, float, prob);
IN(1, float, lse);
IN(2, int, load);
IN(3, int, mask);
STEP(4);
OUT(5, float, loss);
ARGS(sy_router_loss_args);
LOCAL_SCRATCH;

const uint BLOCK = 64u; // rows added up apart, so that long sums lose little

float load_times_p(uint row, uint g)
{
    float sum = 0.0;
    for (uint e = 0u; e < p.experts; ++e)
        sum = fma(float(load[g * p.experts + e]), prob[row * p.experts + e], sum);
    return sum;
}

void main()
{
    GROUP_GUARD(p.groups);
    const uint lid = LOCAL_ID, g = GROUP_ID, first = g * p.group, rows = min(p.group, p.rows - first);
    float tokens = 0.0, shares = 0.0, squares = 0.0;
    for (uint block = lid; block < rows; block += WG * BLOCK) {
        const uint end = min(block + WG * BLOCK, rows);
        float share = 0.0, square = 0.0;
        for (uint t = block; t < end; t += WG) {
            const uint row = first + t;
            if (mask[row] == 0)
                continue;
            tokens += 1.0;
            square = fma(lse[row], lse[row], square);
            if (p.aux_coef != 0.0)
                share += load_times_p(row, g);
        }
        shares += share;
        squares += square;
    }
    GROUP_SUM(tokens, n);
    GROUP_SUM(shares, share_sum);
    GROUP_SUM(squares, square_sum);
    if (lid == 0u) {
        const float inv_tokens = p.stack != 0u ? c.inv_tokens_dec : c.inv_tokens_enc;
        loss[2u * g] = n > 0.0 ? p.aux_coef * float(p.experts) * (share_sum / n) / n : 0.0;
        loss[2u * g + 1u] = n > 0.0 ? p.z_coef * (square_sum * inv_tokens) : 0.0;
    }
}
