// SPDX-License-Identifier: Apache-2.0
// attention_delta.c: the op `attention_delta`: (lse, Σ_d o·do) of every query row and head, for attention's backward.
#include "engine/ops/attention.h"

static void attention_delta_ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_attention_args *p = args;
    for (uint32_t b = 0; b < p->batch; ++b)
        for (uint32_t h = 0; h < p->heads; ++h)
            for (uint32_t i = 0; i < p->tq; ++i) {
                const uint64_t row = sy_attention_o_at(p, b, h, i), at = sy_attention_lse_at(p, b, h, i);
                sy_st(&t[3], 2 * at, sy_ld(&t[2], at));
                sy_st(&t[3], 2 * at + 1, sy_attention_dot(&t[0], row, &t[1], row, p->dim));
            }
}

static uint64_t attention_delta_groups(const void *args, const struct sy_knobs *knobs)
{
    return sy_ceil_div(sy_attention_rows(args), knobs->wg == 1 ? 64 : knobs->wg);
}

static uint64_t attention_delta_elements(const void *args, uint32_t i)
{
    const struct sy_attention_args *p = args;
    switch (i) {
    case 0:
    case 1: return sy_attention_o_elements(p);
    case 2: return sy_attention_rows(p);
    default: return 2 * sy_attention_rows(p);
    }
}

static double attention_delta_flops(const void *args) { return 2.0 * (double)sy_attention_o_elements(args); }

const struct sy_op_impl sy_op_impl_attention_delta = {
    .ref = attention_delta_ref,
    .groups = attention_delta_groups,
    .elements = attention_delta_elements,
    .flops = attention_delta_flops,
};
