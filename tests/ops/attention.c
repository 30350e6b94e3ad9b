// SPDX-License-Identifier: Apache-2.0
// attention.c (tests): forward attention on odd sizes, padding, causal masks, gaps, dropout and decoding.
#include "tests/ops/attention.h"

static const struct sy_attention_args cases[] = {
    ATT_CASES,
    // Few queries: a whole number of vectors and of tiles of keys, and odd ones; one key.
    {ATT_CROSS(3, 2, 4, 70, 64), .has_mask = 1, .scale = 1},
    {ATT_CROSS(2, 3, 1, 96, 64), ATT_DECODE(96), .scale = 1},
    {ATT_GAPS(2, 2, 8, 33, 100), ATT_BIAS(8, 33), .has_mask = 1, .scale = 1},
    {ATT_CROSS(1, 2, 3, 70, 128), ATT_DECODE(70), .has_mask = 1, .scale = 1},
    {ATT_CROSS(2, 1, 2, 1, 16), .scale = 1},
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_attention_args *p = args;
    (void)rng;
    att_fill_query(p, values[0], counts[0]);
    att_fill_mask(p, values[3]);
    att_fill_step(p, step);
}

// The lse of a row that sees no key is a huge number that would drown all others.
static bool compare(const void *args, uint32_t binding, uint64_t element, double *const *inputs)
{
    const struct sy_attention_args *p = args;
    const uint32_t i = (uint32_t)(element % p->tq), b = (uint32_t)(element / p->tq / p->heads);
    const uint32_t position = p->decode ? p->tk * 4 / 5 : 0;
    if (binding != 6 || !p->has_mask)
        return true;
    for (uint32_t j = 0; j < p->tk && (!p->causal || j <= i + position); ++j)
        if (inputs[3][(uint64_t)b * p->tk + j] != 0)
            return true;
    return false;
}

SY_OP_CASES(attention, cases, .fill = fill, .compare = compare, .tolerance_f32 = 2e-6, .tolerance_bf16 = 0x1p-8,
            .reason = "f32 sums over dim and keys and an exp of 1 to 4 ulp; bf16: one rounding of o");
