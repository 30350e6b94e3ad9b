// SPDX-License-Identifier: Apache-2.0
// Cases of af_scale.
#include "tests/ops/adafactor.h"

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_adafactor_args *a = args;
    (void)step;
    (void)rng;
    sy_af_fill_square(values[0], counts[0]);
    sy_af_fill_square(values[1], counts[1]);
    if (a->rows % 2 == 0)
        return;
    for (uint64_t i = 0; i < a->rows; ++i) { // the first matrix is nearly zero and its update large: both bounds bind
        values[0][i] = 1e-9;
        values[1][i] = 40.0 * a->cols;
    }
}

SY_OP_CASES(af_scale, sy_af_cases, .fill = fill, .tolerance_f32 = 2e-6,
            .reason = "sums of up to 130 positive terms, roots and divisions of up to 3 ulp");
