// SPDX-License-Identifier: Apache-2.0
// router_loss: load-balance loss and z-loss of each group (spec §4.7, §4.8).
#include "engine/ops/dropout.h"

static void ref_group(const struct sy_router_loss_args *p, const struct sy_ref_tensor *b, uint64_t g)
{
    const struct sy_step *c = sy_step_of(&b[4]);
    const double inv_tokens = (double)(p->stack != 0 ? c->inv_tokens_dec : c->inv_tokens_enc);
    const uint64_t first = g * p->group, end = first + p->group < p->rows ? first + p->group : p->rows;
    double n = 0, squares = 0, balance = 0;
    for (uint64_t row = first; row < end; ++row) {
        if (sy_ldi(&b[3], row) == 0)
            continue;
        n += 1;
        squares += sy_ld(&b[1], row) * sy_ld(&b[1], row);
    }
    for (uint64_t e = 0; e < p->experts && n > 0; ++e) {
        double column = 0;
        for (uint64_t row = first; row < end; ++row)
            if (sy_ldi(&b[3], row) != 0)
                column += sy_ld(&b[0], row * p->experts + e);
        balance += sy_ldi(&b[2], g * p->experts + e) / n * (column / n); // f_e · P_e
    }
    sy_st(&b[5], 2 * g, (double)p->aux_coef * p->experts * balance);
    sy_st(&b[5], 2 * g + 1, (double)p->z_coef * inv_tokens * squares);
}

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_router_loss_args *p = args;
    for (uint64_t g = 0; g < p->groups; ++g)
        ref_group(p, b, g);
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    return ((const struct sy_router_loss_args *)args)->groups;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_router_loss_args *p = args;
    const uint64_t counts[] = {
        (uint64_t)p->rows * p->experts, p->rows, (uint64_t)p->groups * p->experts, p->rows, SY_STEP_ELEMENTS,
        2 * (uint64_t)p->groups};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_router_loss_args *p = args;
    return 2.0 * p->rows * p->experts;
}

const struct sy_op_impl sy_op_impl_router_loss = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
    .wg_simt = 256,
};
