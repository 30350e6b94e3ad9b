// SPDX-License-Identifier: Apache-2.0
// router_softmax: p = softmax(z) and lse = log Σ exp(z) of each row; optionally through bf16 values.
#include "engine/op.h"
#include "kernels/chunk.h"

static double narrowed(const struct sy_router_softmax_args *p, double x)
{
    return p->round_bf16 ? sy_bf16_to_f32(sy_f32_to_bf16((float)x)) : x;
}

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_router_softmax_args *p = args;
    for (uint64_t row = 0; row < p->rows; ++row) {
        const uint64_t at = row * p->experts;
        double most = -(double)INFINITY, total = 0;
        for (uint64_t e = 0; e < p->experts; ++e)
            most = fmax(most, narrowed(p, sy_ld(&b[0], at + e)));
        for (uint64_t e = 0; e < p->experts; ++e)
            total += exp(narrowed(p, sy_ld(&b[0], at + e)) - most);
        for (uint64_t e = 0; e < p->experts; ++e)
            sy_st(&b[1], at + e, narrowed(p, exp(narrowed(p, sy_ld(&b[0], at + e)) - most) / total));
        sy_st(&b[2], row, most + log(total));
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_router_softmax_args *p = args;
    return sy_ceil_div(p->rows, SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_router_softmax_args *p = args;
    return i == 2 ? p->rows : (uint64_t)p->rows * p->experts;
}

static double flops(const void *args)
{
    const struct sy_router_softmax_args *p = args;
    return 20.0 * p->rows * p->experts; // two exponentials an element
}

const struct sy_op_impl sy_op_impl_router_softmax = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
};
