// SPDX-License-Identifier: Apache-2.0
// relu_bwd: odd shapes; by row and by slot (unused slots, one to three choices), several rates.
#include "tests/ops.h"

static const struct sy_ffn_act_args cases[] = {
    {.rows = 1, .cols = 1, .threshold = 0, .scale = 1.0f, .stream = 0, .stack = 0, .indexed = 0, .k = 0},
    {.rows = 3, .cols = 13, .threshold = 0x80000000u, .scale = 2.0f, .stream = 4, .stack = 1, .indexed = 0, .k = 0},
    {.rows = 17,
     .cols = 17,
     .threshold = 429496730u,
     .scale = 1.1111112f,
     .stream = 5,
     .stack = 0,
     .indexed = 0,
     .k = 0},
    {.rows = 5,
     .cols = 65,
     .threshold = 429496730u,
     .scale = 1.1111112f,
     .stream = 6,
     .stack = 1,
     .indexed = 1,
     .k = 1},
    {.rows = 33,
     .cols = 64,
     .threshold = 429496730u,
     .scale = 1.1111112f,
     .stream = 7,
     .stack = 0,
     .indexed = 1,
     .k = 2},
    {.rows = 20, .cols = 128, .threshold = 0x80000000u, .scale = 2.0f, .stream = 8, .stack = 1, .indexed = 1, .k = 3},
    {.rows = 7, .cols = 100, .threshold = 0, .scale = 1.0f, .stream = 9, .stack = 0, .indexed = 1, .k = 1},
    {.rows = 19, .cols = 66, .threshold = 0xffffffffu, .scale = 1.0f, .stream = 10, .stack = 1, .indexed = 1, .k = 2},
    {.rows = 2,
     .cols = 260,
     .threshold = 429496730u,
     .scale = 1.1111112f,
     .stream = 11,
     .stack = 0,
     .indexed = 0,
     .k = 0},
};

// Slots in no order, some unused: those hold NaN, which must not reach the output.
static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_ffn_act_args *p = args;
    (void)step;
    for (uint64_t i = 0; i < counts[2] && p->indexed; ++i) {
        const bool unused = i % 4 == 2 || i + 1 == p->rows;
        values[2][i] = unused ? -1 : (int32_t)(sy_rng_u32(rng) % (p->k * 50));
        for (uint64_t j = 0; j < p->cols && unused; ++j)
            values[0][i * p->cols + j] = (double)NAN;
    }
}

SY_OP_CASES(relu_bwd, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0,
            .reason = "the mask is exact and a product rounds once");
