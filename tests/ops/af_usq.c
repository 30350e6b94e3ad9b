// SPDX-License-Identifier: Apache-2.0
// Cases of af_usq.
#include "tests/ops/matrices.h"

static const struct sy_matrices_args cases[] = {SY_FACTORED_BLOCKS};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts;
    (void)step;
    const struct sy_test_shape *shapes = sy_af_fill_grad(args, values[0], values[1], rng);
    sy_af_fill_factors(args, shapes, values[0], values[1], values[2], values[3], values[4], rng);
    values[5][0] = SY_AF_CLIP;
}

SY_OP_CASES(
    af_usq, cases, .fill = fill, .tolerance_f32 = 4e-6,
    .reason = "roots and divisions of up to 3 ulp each, squared, in sums of up to 33,600 terms in lanes and rows");
