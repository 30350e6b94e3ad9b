// SPDX-License-Identifier: Apache-2.0
// router_dz: the gradient of gates, aux and z-loss with respect to the router's logits (spec §4.9).
#include "engine/ops/dropout.h"

/// Σ_r dgate_r · ∂gate_r/∂p_e of one row.
static double through_gates(const struct sy_router_loss_args *p, const struct sy_ref_tensor *b, uint64_t row, int32_t e)
{
    double own = 0, weighted = 0, sum = 0; // dgate of e itself, Σ dgate·p and Σ p over the row's choices
    bool chosen = false;
    for (uint64_t r = 0; r < p->k; ++r) {
        const int32_t other = sy_ldi(&b[2], row * p->k + r);
        if (other < 0)
            continue;
        const double dgate = sy_ld(&b[3], row * p->k + r), prob = sy_ld(&b[0], row * p->experts + (uint32_t)other);
        own += other == e ? dgate : 0.0;
        chosen |= other == e;
        weighted += dgate * prob;
        sum += prob;
    }
    return p->kind != 1 ? own : chosen ? own / sum - weighted / (sum * sum) : 0.0; // kind 1: gate_r = p_r / Σ p
}

static void ref_row(const struct sy_router_loss_args *p, const struct sy_ref_tensor *b, uint64_t row)
{
    const struct sy_step *c = sy_step_of(&b[6]);
    const double inv_groups = (double)(p->stack != 0 ? c->inv_groups_dec : c->inv_groups_enc);
    const double inv_tokens = (double)(p->stack != 0 ? c->inv_tokens_dec : c->inv_tokens_enc);
    const uint64_t at = row * p->experts, cell = row / p->group * p->experts;
    double n = 0, mean = 0, base = 0; // base: dp of an expert that has most of the weight, for Σ p is not quite 1
    for (uint64_t e = 0; e < p->experts; ++e)
        n += sy_ldi(&b[4], cell + e);
    const double aux = p->aux_coef != 0 && n > 0 ? (double)p->aux_coef * p->experts * inv_groups / (n * n) : 0.0;
    for (uint64_t e = 0; e < p->experts; ++e)
        if (sy_ld(&b[0], at + e) > 0.5)
            base = through_gates(p, b, row, (int32_t)e) + aux * sy_ldi(&b[4], cell + e);
    for (uint64_t e = 0; e < p->experts; ++e)
        mean += sy_ld(&b[0], at + e) * (through_gates(p, b, row, (int32_t)e) + aux * sy_ldi(&b[4], cell + e) - base);
    for (uint64_t e = 0; e < p->experts; ++e) {
        const double dp = through_gates(p, b, row, (int32_t)e) + aux * sy_ldi(&b[4], cell + e) - base;
        const double z = 2 * (double)p->z_coef * inv_tokens * sy_ld(&b[1], row);
        sy_st(&b[7], at + e, sy_ld(&b[0], at + e) * (dp - mean + z));
    }
}

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_router_loss_args *p = args;
    for (uint64_t row = 0; row < p->rows; ++row) {
        if (sy_ldi(&b[5], row) != 0)
            ref_row(p, b, row);
        else
            for (uint64_t e = 0; e < p->experts; ++e)
                sy_st(&b[7], row * p->experts + e, 0.0);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_router_loss_args *p = args;
    return sy_ceil_div(p->rows, SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_router_loss_args *p = args;
    const uint64_t all = (uint64_t)p->rows * p->experts, places = (uint64_t)p->rows * p->k;
    const uint64_t counts[] = {all,     p->rows,          places, places, (uint64_t)p->groups * p->experts,
                               p->rows, SY_STEP_ELEMENTS, all};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_router_loss_args *p = args;
    return 10.0 * p->rows * p->experts;
}

const struct sy_op_impl sy_op_impl_router_dz = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
};
