// SPDX-License-Identifier: Apache-2.0
// Cases of adamw.
#include "tests/ops.h"

static const struct sy_adamw_args cases[] = {
    {1, 0.9f, 0.999f, 1e-8f, 0.0f},    {13, 0.9f, 0.999f, 1e-8f, 0.01f},  {65, 0.9f, 0.98f, 1e-6f, 0.1f},
    {100, 0.0f, 0.999f, 1e-8f, 0.01f}, {1025, 0.9f, 0.999f, 1e-8f, 0.0f}, {8192, 0.9f, 0.999f, 1e-8f, 0.01f},
    {20001, 0.9f, 0.95f, 1e-8f, 0.1f},
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)args;
    (void)step;
    values[1][0] = 0.5;
    for (uint64_t i = 0; i < counts[0]; ++i) {
        if (sy_rng_u32(rng) % 8u == 0)
            values[0][i] = 0.0;
        values[4][i] *= 0.1;
        values[5][i] = values[5][i] * values[5][i] * 0.1 + 0.001;
    }
}

SY_OP_CASES(adamw, cases, .fill = fill, .tolerance_f32 = 4e-6, .reason = "a root and a division of up to 3 ulp each");
