// SPDX-License-Identifier: Apache-2.0
// Cases of af_mean.
#include "tests/ops/adafactor.h"

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)args;
    (void)step;
    (void)rng;
    sy_af_fill_square(values[0], counts[0]);
}

SY_OP_CASES(af_mean, sy_af_cases, .fill = fill, .tolerance_f32 = 1e-6, .reason = "sums of up to 130 positive terms");
