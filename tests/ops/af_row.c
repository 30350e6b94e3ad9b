// SPDX-License-Identifier: Apache-2.0
// Cases of af_row.
#include "tests/ops/adafactor.h"

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)step;
    sy_af_fill_grad(args, values[0], rng);
    values[2][0] = SY_AF_CLIP;
    sy_af_fill_square(values[4], counts[4]);
    for (uint64_t i = 0; i < counts[4]; ++i) // where gradients are tiny, so is the state
        values[4][i] *= ((const struct sy_adafactor_args *)args)->rows == 16 ? 1e-30 : 1.0;
}

SY_OP_CASES(af_row, sy_af_cases, .fill = fill, .tolerance_f32 = 4e-6,
            .reason = "sums of up to 2,100 positive terms, all in one lane at worst");
