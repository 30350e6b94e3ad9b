// SPDX-License-Identifier: Apache-2.0
// router_softmax: one to many experts, ties, logits far apart, everything through bf16.
#include "tests/ops.h"

static const struct sy_router_softmax_args cases[] = {
    {.rows = 1, .experts = 1},
    {.rows = 13, .experts = 2},
    {.rows = 65, .experts = 5},
    {.rows = 100, .experts = 8},
    {.rows = 17, .experts = 33},
    {.rows = 33, .experts = 64},
    {.rows = 9, .experts = 300},
    {.rows = 3, .experts = 2049},
    {.rows = 18, .experts = 16, .round_bf16 = 1},
    {.rows = 40, .experts = 100, .round_bf16 = 1},
};

// Row 0 is large (exp would overflow without the maximum taken out), row 1 very negative, row 2 all equal.
static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts, (void)step, (void)rng;
    const struct sy_router_softmax_args *p = args;
    const double shift[] = {200, -300, 0};
    for (uint64_t i = 0; i < (uint64_t)p->rows * p->experts; ++i) {
        const uint64_t row = i / p->experts;
        values[0][i] = row < 3 ? (row == 2 ? 1.25 : 20 * values[0][i]) + shift[row] : 3 * values[0][i];
    }
}

SY_OP_CASES(router_softmax, cases, .fill = fill, .tolerance_f32 = 1e-5, .tolerance_bf16 = 1e-5,
            .reason = "exp and log of the device (a few ulp, more for large arguments) and sums of at most 2049 terms");
