// SPDX-License-Identifier: Apache-2.0
// Cases of af_apply_v.
#include "tests/ops/matrices.h"

static const struct sy_matrices_args cases[] = {SY_FULL_BLOCKS};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts;
    (void)step;
    const struct sy_test_shape *shapes = sy_af_fill_grad(args, values[0], values[1], rng);
    sy_af_fill_v(args, shapes, values[0], values[1], values[2], rng);
    values[4][0] = SY_AF_CLIP;
}

SY_OP_CASES(af_apply_v, cases, .fill = fill, .tolerance_f32 = 2e-6,
            .reason = "a root and a division of up to 3 ulp each");
