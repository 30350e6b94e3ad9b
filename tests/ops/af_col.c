// SPDX-License-Identifier: Apache-2.0
// Cases of af_col.
#include "tests/ops/matrices.h"

static const struct sy_matrices_args cases[] = {SY_FACTORED_STRIPS};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)step;
    (void)rng;
    const struct sy_matrices_args *a = args;
    sy_test_table(a, values[0]);
    sy_af_fill_square(values[1], counts[1]);
    sy_af_fill_square(values[4], counts[4]);
    values[2][0] = SY_AF_CLIP;
    for (uint64_t i = 0; i < counts[1] && a->blocks == 1; ++i) { // where gradients are tiny, so is the state
        values[1][i] *= 1e-30;
        values[4][i] *= 1e-30;
    }
}

SY_OP_CASES(af_col, cases, .fill = fill, .tolerance_f32 = 1e-6,
            .reason = "four products, sums of up to 19 positive terms");
