// SPDX-License-Identifier: Apache-2.0
// Cases of af_v.
#include "tests/ops/adafactor.h"

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    sy_af_fill_grad(args, values[0], rng);
    values[2][0] = SY_AF_CLIP;
    sy_af_fill_v(values[0], values[4], counts[4], rng);
    if (((const struct sy_adafactor_args *)args)->parts == 3) // the first step: nothing of the old state may remain
        step->beta2 = 0.0f;
}

SY_OP_CASES(af_v, sy_af_cases, .fill = fill, .tolerance_f32 = 2e-6,
            .reason = "a division of up to 3 ulp per term, sums of up to 2,100 positive terms");
