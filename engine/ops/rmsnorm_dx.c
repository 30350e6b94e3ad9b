// SPDX-License-Identifier: Apache-2.0
// rmsnorm_dx: dx = rstd · (w·dy − x · rstd² · mean(w·dy·x)) (+ res).
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_rmsnorm_dx_args *p = args;
    for (uint64_t row = 0; row < p->rows; ++row) {
        const uint64_t at = row * p->dim;
        const double rstd = sy_ld(&b[3], row);
        double dot = 0;
        for (uint64_t j = 0; j < p->dim; ++j)
            dot += sy_ld(&b[2], j) * sy_ld(&b[0], at + j) * sy_ld(&b[1], at + j);
        dot /= p->dim;
        for (uint64_t j = 0; j < p->dim; ++j) {
            const double g = sy_ld(&b[2], j) * sy_ld(&b[0], at + j);
            const double dx = rstd * (g - sy_ld(&b[1], at + j) * rstd * rstd * dot);
            sy_st(&b[5], at + j, p->has_res ? dx + sy_ld(&b[4], at + j) : dx);
        }
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_rmsnorm_dx_args *p = args;
    return sy_ceil_div(p->rows, SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_rmsnorm_dx_args *p = args;
    const uint64_t all = (uint64_t)p->rows * p->dim;
    const uint64_t counts[] = {all, all, p->dim, p->rows, p->has_res ? all : 0, all};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_rmsnorm_dx_args *p = args;
    return (p->has_res ? 8.0 : 7.0) * p->rows * p->dim;
}

const struct sy_op_impl sy_op_impl_rmsnorm_dx = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
};
