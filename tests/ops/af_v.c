// SPDX-License-Identifier: Apache-2.0
// Cases of af_v.
#include "tests/ops/matrices.h"

static const struct sy_matrices_args cases[] = {SY_FULL_BLOCKS};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts;
    const struct sy_matrices_args *a = args;
    const struct sy_test_shape *shapes = sy_af_fill_grad(a, values[0], values[1], rng);
    values[3][0] = SY_AF_CLIP;
    sy_af_fill_v(a, shapes, values[0], values[1], values[5], rng);
    if (a->entries == 3) // the first step: nothing of the old state may remain
        step->beta2 = 0.0f;
}

SY_OP_CASES(af_v, cases, .fill = fill, .tolerance_f32 = 2e-6,
            .reason = "a division of up to 3 ulp per term, sums of up to 4,800 positive terms in lanes and rows");
