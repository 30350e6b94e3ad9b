// SPDX-License-Identifier: Apache-2.0
// Cases of af_col_ema.
#include "tests/ops/adafactor.h"

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)args;
    (void)step;
    (void)rng;
    sy_af_fill_square(values[0], counts[0]);
    sy_af_fill_square(values[2], counts[2]);
}

SY_OP_CASES(af_col_ema, sy_af_cases, .fill = fill, .tolerance_f32 = 1e-6,
            .reason = "sums of up to 8 positive terms and two products");
