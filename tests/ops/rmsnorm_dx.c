// SPDX-License-Identifier: Apache-2.0
// rmsnorm_dx: odd shapes, with and without the residual gradient; rstd belongs to x. (Without it, dim 1 gives plain 0.)
#include "tests/ops.h"

static const struct sy_rmsnorm_dx_args cases[] = {
    {.rows = 1, .dim = 1, .eps = 1e-6f, .has_res = 1},   {.rows = 3, .dim = 13, .eps = 1e-6f, .has_res = 0},
    {.rows = 17, .dim = 17, .eps = 1e-6f, .has_res = 1}, {.rows = 5, .dim = 65, .eps = 1e-6f, .has_res = 0},
    {.rows = 33, .dim = 64, .eps = 1e-6f, .has_res = 1}, {.rows = 16, .dim = 128, .eps = 1e-6f, .has_res = 0},
    {.rows = 7, .dim = 100, .eps = 1e-6f, .has_res = 1}, {.rows = 2, .dim = 1030, .eps = 1e-6f, .has_res = 0},
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_rmsnorm_dx_args *p = args;
    (void)counts, (void)step, (void)rng;
    for (uint64_t row = 0; row < p->rows; ++row) {
        double sum = 0;
        for (uint64_t j = 0; j < p->dim; ++j)
            sum += values[1][row * p->dim + j] * values[1][row * p->dim + j];
        values[3][row] = 1.0 / sqrt(sum / p->dim + (double)p->eps);
    }
}

SY_OP_CASES(rmsnorm_dx, cases, .fill = fill, .tolerance_f32 = 1e-5, .tolerance_bf16 = 0x1p-7,
            .reason = "a sum of up to 1,030 terms in f32, then a difference; a bf16 store may flip by one place");
