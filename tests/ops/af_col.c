// SPDX-License-Identifier: Apache-2.0
// Cases of af_col.
#include "tests/ops/adafactor.h"

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts;
    (void)step;
    sy_af_fill_grad(args, values[0], rng);
    values[1][0] = SY_AF_CLIP;
}

SY_OP_CASES(af_col, sy_af_cases, .fill = fill, .tolerance_f32 = 2e-6,
            .reason = "sums of up to 65 positive terms, one after another");
