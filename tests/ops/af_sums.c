// SPDX-License-Identifier: Apache-2.0
// Cases of af_sums.
#include "tests/ops/matrices.h"

static const struct sy_matrices_args cases[] = {SY_FACTORED_BLOCKS};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts;
    (void)step;
    sy_af_fill_grad(args, values[0], values[1], rng);
}

SY_OP_CASES(af_sums, cases, .fill = fill, .tolerance_f32 = 4e-6,
            .reason = "sums of up to 2,100 positive terms a row in 16 lanes or more, of 16 rows in a block");
