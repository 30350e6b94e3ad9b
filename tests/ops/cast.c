// SPDX-License-Identifier: Apache-2.0
// cast: odd counts; ties of the rounding, subnormal, huge, infinite and NaN values.
#include "tests/ops.h"

static const struct sy_cast_args cases[] = {
    {.n = 1}, {.n = 13}, {.n = 17}, {.n = 65}, {.n = 100}, {.n = 1024}, {.n = 8192}, {.n = 8193}, {.n = 20011},
};

// Values where rounding is easily got wrong; exact in f32.
static const double edges[] = {
    1.00390625, // halfway between two bf16, even below
    1.01171875, // halfway, even above
    -1.00390625,
    1.0039063692092896,    // just above halfway
    3.3895313892515355e38, // largest bf16
    (double)INFINITY,
    -(double)INFINITY,
    (double)NAN,
    0.0,
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)args, (void)step, (void)rng;
    for (uint64_t i = 0; i < counts[0] && i < 7 * SY_COUNT(edges); i += 7)
        values[0][i] = edges[i / 7];
}

SY_OP_CASES(cast, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0,
            .reason = "rounding to nearest even is exact");
