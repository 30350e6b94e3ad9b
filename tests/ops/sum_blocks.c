// SPDX-License-Identifier: Apache-2.0
// Cases of sum_blocks.
#include "tests/ops/matrices.h"

static const struct sy_matrices_args cases[] = {SY_ALL_MATRICES};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)step;
    (void)rng;
    const struct sy_matrices_args *a = args;
    sy_test_table(a, values[0]);
    for (uint32_t i = 0; i < a->matrices; ++i) // any order, with gaps: other packs' places
        values[1][i] = a->everything - (i < 2 ? 1 : 2) - i;
    sy_af_fill_square(values[2], counts[2]);
}

SY_OP_CASES(sum_blocks, cases, .fill = fill, .tolerance_f32 = 2e-6, .reason = "sums of up to 69 positive terms");
