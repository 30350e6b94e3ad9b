// SPDX-License-Identifier: Apache-2.0
// rmsnorm: y = w · x · rstd, rstd = 1 / sqrt(mean(x²) + eps).
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_rmsnorm_args *p = args;
    for (uint64_t row = 0; row < p->rows; ++row) {
        const uint64_t at = row * p->dim;
        double sum = 0;
        for (uint64_t j = 0; j < p->dim; ++j)
            sum += sy_ld(&b[0], at + j) * sy_ld(&b[0], at + j);
        const double rstd = 1.0 / sqrt(sum / p->dim + (double)p->eps);
        for (uint64_t j = 0; j < p->dim; ++j)
            sy_st(&b[2], at + j, sy_ld(&b[1], j) * sy_ld(&b[0], at + j) * rstd);
        sy_st(&b[3], row, rstd);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_rmsnorm_args *p = args;
    return sy_ceil_div(p->rows, SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_rmsnorm_args *p = args;
    const uint64_t all = (uint64_t)p->rows * p->dim;
    const uint64_t counts[] = {all, p->dim, all, p->rows};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_rmsnorm_args *p = args;
    return 4.0 * p->rows * p->dim;
}

const struct sy_op_impl sy_op_impl_rmsnorm = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
};
