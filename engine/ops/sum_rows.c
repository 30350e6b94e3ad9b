// SPDX-License-Identifier: Apache-2.0
// sum_rows: y[j] (+)= scale · Σ_p part[p][j].
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_sum_rows_args *p = args;
    for (uint64_t j = 0; j < p->n; ++j) {
        double sum = 0;
        for (uint64_t q = 0; q < p->parts; ++q)
            sum += sy_ld(&b[0], q * p->n + j);
        sum *= (double)p->scale;
        sy_st(&b[1], j, p->accumulate ? sy_ld(&b[1], j) + sum : sum);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_sum_rows_args *p = args;
    return p->n < SY_NARROW(knobs->wg) ? p->n : sy_ceil_div(p->n, SY_COLS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_sum_rows_args *p = args;
    return i == 0 ? (uint64_t)p->parts * p->n : p->n;
}

static double flops(const void *args)
{
    const struct sy_sum_rows_args *p = args;
    return ((double)p->parts + 1.0) * p->n;
}

const struct sy_op_impl sy_op_impl_sum_rows = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
};
