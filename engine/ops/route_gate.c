// SPDX-License-Identifier: Apache-2.0
// route_gate: p of the chosen expert (kind 0), normalised over the row's choices (kind 1); 0 where expert < 0.
#include "engine/op.h"
#include "kernels/chunk.h"

static double chosen(const struct sy_route_gate_args *p, const struct sy_ref_tensor *prob, uint64_t row, int32_t e)
{
    return e >= 0 ? sy_ld(prob, row * p->experts + (uint32_t)e) : 0.0;
}

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_route_gate_args *p = args;
    for (uint64_t row = 0; row < p->rows; ++row) {
        double sum = 0;
        for (uint64_t r = 0; r < p->k; ++r)
            sum += chosen(p, &b[0], row, sy_ldi(&b[1], row * p->k + r));
        for (uint64_t r = 0; r < p->k; ++r) {
            const int32_t e = sy_ldi(&b[1], row * p->k + r);
            const double own = chosen(p, &b[0], row, e);
            sy_st(&b[2], row * p->k + r, p->kind == 1 && e >= 0 ? own / sum : own);
        }
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_route_gate_args *p = args;
    return sy_ceil_div((uint64_t)p->rows * p->k, SY_CHUNK(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_route_gate_args *p = args;
    return (uint64_t)p->rows * (i == 0 ? p->experts : p->k);
}

static double flops(const void *args)
{
    const struct sy_route_gate_args *p = args;
    return p->kind == 1 ? 3.0 * p->rows : 0.0;
}

const struct sy_op_impl sy_op_impl_route_gate = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
};
