// SPDX-License-Identifier: Apache-2.0
// residual: odd shapes, rates from nothing to everything, threshold 0 (a sum), both stacks.
#include "tests/ops.h"

static const struct sy_dropout_args cases[] = {
    {.rows = 1, .cols = 1, .threshold = 0x80000000u, .scale = 2.0f, .stream = 3, .stack = 0},
    {.rows = 3, .cols = 13, .threshold = 0x80000000u, .scale = 2.0f, .stream = 4, .stack = 1},
    {.rows = 17, .cols = 17, .threshold = 429496730u, .scale = 1.1111112f, .stream = 5, .stack = 0},
    {.rows = 5, .cols = 65, .threshold = 429496730u, .scale = 1.1111112f, .stream = 6, .stack = 1},
    {.rows = 33, .cols = 64, .threshold = 429496730u, .scale = 1.1111112f, .stream = 7, .stack = 0},
    {.rows = 16, .cols = 128, .threshold = 0x80000000u, .scale = 2.0f, .stream = 8, .stack = 1},
    {.rows = 2, .cols = 1000, .threshold = 0xffffffffu, .scale = 1.0f, .stream = 9, .stack = 0},
    {.rows = 4, .cols = 260, .threshold = 1u, .scale = 1.0f, .stream = 10, .stack = 0},
    {.rows = 7, .cols = 100, .threshold = 0, .scale = 1.0f, .stream = 11, .stack = 1},
    {.rows = 19, .cols = 66, .threshold = 0, .scale = 1.0f, .stream = 12, .stack = 0},
};

// Rows late in a step: row0 + row goes past 2^16, and wraps around 2^32 in the decoder's cases.
static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)args, (void)values, (void)counts;
    step->row_enc = 65530;
    step->row_dec = 0xfffffffeu;
    step->seed_lo = sy_rng_u32(rng);
    step->seed_hi = sy_rng_u32(rng);
}

SY_OP_CASES(residual, cases, .fill = fill, .tolerance_f32 = 2e-7, .tolerance_bf16 = 0x1p-7,
            .reason = "two roundings where the reference has one; a bf16 store may flip by one place");
