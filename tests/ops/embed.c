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
    {.rows = 48, .dim = 65, .vocab = 7, .part = 1, .first = 0}, // some ids beyond it
    {.rows = 33, .dim = 64, .vocab = 9, .part = 1, .first = 12},
};

// Repeated ids, the last row of the table, and its first; of a part also those around it.
static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_embed_args *p = args;
    (void)step;
    for (uint64_t i = 0; i < counts[0]; ++i)
        values[0][i] = p->part      ? sy_rng_u32(rng) % (p->first + 2 * p->vocab)
                       : i % 5 == 0 ? p->vocab - 1
                       : i % 5 == 1 ? 0
                                    : sy_rng_u32(rng) % p->vocab;
}

// Of a part: the rows of its own ids. That the others stay is seen in tests/pieces.c.
static bool compare(const void *args, uint32_t binding, uint64_t element, double *const *inputs)
{
    const struct sy_embed_args *p = args;
    const uint32_t id = (uint32_t)inputs[0][binding == 2 ? element / p->dim : 0];
    return !p->part || (id >= p->first && id - p->first < p->vocab);
}

SY_OP_CASES(embed, cases, .fill = fill, .compare = compare, .tolerance_f32 = 0, .tolerance_bf16 = 0,
            .reason = "a copy");
