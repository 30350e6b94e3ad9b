// SPDX-License-Identifier: Apache-2.0
// Cases of af_usq.
#include "tests/ops/adafactor.h"

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts;
    (void)step;
    sy_af_fill_grad(args, values[0], rng);
    sy_af_fill_factors(args, values[0], values[1], values[2], values[3], rng);
    values[4][0] = SY_AF_CLIP;
}

SY_OP_CASES(af_usq, sy_af_cases, .fill = fill, .tolerance_f32 = 4e-6,
            .reason = "roots and divisions of up to 3 ulp each, squared, in sums of up to 2,100 terms");
