// SPDX-License-Identifier: Apache-2.0
// rmsnorm: odd shapes, a row of zeros (eps alone), a row of large values.
#include "tests/ops.h"

static const struct sy_rmsnorm_args cases[] = {
    {.rows = 1, .dim = 1, .eps = 1e-6f},   {.rows = 3, .dim = 13, .eps = 1e-6f},
    {.rows = 17, .dim = 17, .eps = 1e-6f}, {.rows = 5, .dim = 65, .eps = 1e-6f},
    {.rows = 33, .dim = 64, .eps = 1e-6f}, {.rows = 16, .dim = 128, .eps = 1e-6f},
    {.rows = 7, .dim = 100, .eps = 1e-6f}, {.rows = 2, .dim = 1030, .eps = 1e-6f},
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_rmsnorm_args *p = args;
    (void)counts, (void)step, (void)rng;
    for (uint32_t j = 0; j < p->dim && p->rows > 2; ++j) {
        values[0][p->dim + j] = 0.0;
        values[0][2 * p->dim + j] *= 1000.0;
    }
}

SY_OP_CASES(rmsnorm, cases, .fill = fill, .tolerance_f32 = 2e-6, .tolerance_bf16 = 0x1p-7,
            .reason = "sums of up to 1,030 squares in f32; a bf16 store may flip by one place");
