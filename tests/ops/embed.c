// SPDX-License-Identifier: Apache-2.0
// embed: odd shapes, repeated ids, both ends of the table.
#include "tests/ops.h"

static const struct sy_embed_args cases[] = {
    {.rows = 1, .dim = 1, .vocab = 1},
    {.rows = 5, .dim = 13, .vocab = 3},
    {.rows = 17, .dim = 17, .vocab = 40},
    {.rows = 33, .dim = 65, .vocab = 7},
    {.rows = 48, .dim = 64, .vocab = 384},
    {.rows = 100, .dim = 130, .vocab = 20},
};

// Repeated ids, the last row of the table, and its first.
static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_embed_args *p = args;
    (void)step;
    for (uint64_t i = 0; i < counts[0]; ++i)
        values[0][i] = i % 5 == 0 ? p->vocab - 1 : i % 5 == 1 ? 0 : sy_rng_u32(rng) % p->vocab;
}

SY_OP_CASES(embed, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0,
            .reason = "a copy");
