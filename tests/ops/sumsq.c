// SPDX-License-Identifier: Apache-2.0
// Cases of sumsq.
#include "tests/ops/matrices.h"

static const struct sy_matrices_args cases[] = {SY_ALL_BLOCKS};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts;
    (void)step;
    (void)rng;
    sy_test_table(args, values[0]);
}

SY_OP_CASES(sumsq, cases, .fill = fill, .tolerance_f32 = 4e-6,
            .reason = "sums of up to 33,600 positive terms in 16 lanes or more, row by row");
