// SPDX-License-Identifier: Apache-2.0
// sum_rows: y[s][j] (+)= scale · Σ_p part[s][p][j].
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_sum_rows_args *p = args;
    for (uint64_t j = 0; j < (uint64_t)p->slices * p->n; ++j) {
        const uint64_t first = j / p->n * p->parts * p->n + j % p->n;
        double sum = 0;
        for (uint64_t q = 0; q < p->parts; ++q)
            sum += sy_ld(&b[0], first + q * p->n);
        sum *= (double)p->scale;
        sy_st(&b[1], j, p->accumulate ? sy_ld(&b[1], j) + sum : sum);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_sum_rows_args *p = args;
    assert(p->slices != 0);
    return p->slices * sy_ceil_div(p->n, SY_SUM_COLS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_sum_rows_args *p = args;
    return (uint64_t)p->slices * p->n * (i == 0 ? p->parts : 1);
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
    .wg_simt = 256, // 16 rows at once
};
