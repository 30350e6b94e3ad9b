// SPDX-License-Identifier: Apache-2.0
// Cases of af_scale.
#include "tests/ops/matrices.h"

static const struct sy_matrices_args cases[] = {SY_ALL_MATRICES};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)step;
    (void)rng;
    const struct sy_matrices_args *a = args;
    const struct sy_test_shape *shapes = sy_test_table(a, values[0]);
    sy_af_fill_square(values[1], counts[1]);
    sy_af_fill_square(values[2], counts[2]);
    for (uint64_t i = 0; i < sy_ceil_div(shapes[0].rows, SY_MATRIX_ROWS) && a->entries % 2 == 0; ++i) {
        values[1][i] = 1e-9; // the first matrix is nearly zero and its update large: both bounds bind
        values[2][i] = 40.0 * SY_MATRIX_ROWS * shapes[0].cols;
    }
}

SY_OP_CASES(af_scale, cases, .fill = fill, .tolerance_f32 = 2e-6,
            .reason = "sums of up to 69 positive terms, roots and divisions of up to 3 ulp");
