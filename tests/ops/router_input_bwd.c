// SPDX-License-Identifier: Apache-2.0
// router_input_bwd: every mode, the factor made again: none, jitter, given, dropout; odd widths; rows late in the step.
#include "tests/ops.h"

static const struct sy_router_input_args cases[] = {
    {.rows = 1, .dim = 1, .mode = 0, .scale = 1.0f},
    {.rows = 17, .dim = 65, .mode = 0, .scale = 1.0f, .round_bf16 = 1},
    {.rows = 3, .dim = 13, .mode = 1, .eps = 0.01f, .scale = 1.0f, .stream = 7, .stack = 0},
    {.rows = 33, .dim = 100, .mode = 1, .eps = 0.1f, .scale = 1.0f, .stream = 8, .stack = 1},
    {.rows = 5, .dim = 1030, .mode = 1, .eps = 0.01f, .scale = 1.0f, .stream = 9, .stack = 1, .round_bf16 = 1},
    {.rows = 20, .dim = 64, .mode = 1, .eps = 0.5f, .scale = 1.0f, .stream = 10, .stack = 0},
    {.rows = 13, .dim = 17, .mode = 2, .scale = 1.0f},
    {.rows = 18, .dim = 129, .mode = 2, .scale = 1.0f, .round_bf16 = 1},
    {.rows = 7, .dim = 70, .mode = 3, .threshold = 429496730u, .scale = 1.1111112f, .stream = 11, .stack = 0},
    {.rows = 21, .dim = 128, .mode = 3, .threshold = 0x80000000u, .scale = 2.0f, .stream = 12, .stack = 1},
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

SY_OP_CASES(router_input_bwd, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0,
            .reason = "random bits and factors are exact and a product rounds once");
