// SPDX-License-Identifier: Apache-2.0
// Cases of af_apply_v.
#include "tests/ops/adafactor.h"

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)step;
    sy_af_fill_grad(args, values[0], rng);
    sy_af_fill_v(values[0], values[1], counts[1], rng);
    values[3][0] = SY_AF_CLIP;
}

SY_OP_CASES(af_apply_v, sy_af_cases, .fill = fill, .tolerance_f32 = 2e-6,
            .reason = "a root and a division of up to 3 ulp each");
