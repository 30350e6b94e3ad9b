// SPDX-License-Identifier: Apache-2.0
// Cases of clip.
#include "tests/ops.h"

// n, max_norm: off, binding, not binding, a norm of zero, runs of one and of many sums in a slot, empty slots.
static const struct sy_clip_args cases[] = {{1, 0.0f},   {1, 0.5f},  {13, 1.0f},   {17, 1e6f},
                                            {100, 2.0f}, {65, 0.0f}, {1025, 3.0f}, {9001, 1.0f}};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)step;
    (void)rng;
    const struct sy_clip_args *a = args;
    for (uint64_t i = 0; i < counts[0]; ++i) // sums of squares; case 17 has a gradient of zero
        values[0][i] = a->n == 17 ? 0.0 : values[0][i] * values[0][i];
}

SY_OP_CASES(clip, cases, .fill = fill, .tolerance_f32 = 4e-6,
            .reason = "a sum of up to 9,001 positive terms, a root and a division");
