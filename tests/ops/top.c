// SPDX-License-Identifier: Apache-2.0
// top: one and many of one column and many, ties, rows of one value, of minus infinity, of fewer numbers than are asked
// for.
#include "tests/ops.h"

static const struct sy_top_args cases[] = {
    {.rows = 1, .cols = 1, .k = 1},
    {.rows = 7, .cols = 13, .k = 9},
    {.rows = 9, .cols = 16, .k = 17}, // fewer columns than asked for
    {.rows = 14, .cols = 33, .k = 5},
    {.rows = 12, .cols = 384, .k = SY_TOP_MOST},
    {.rows = 7, .cols = 4099, .k = 9},
    {.rows = 3, .cols = 9009, .k = 41},          // more would be too many rounds of loops for lavapipe in groups of 8
    {.rows = 8, .cols = 33, .k = 3, .first = 5}, // rows of more
};

// Rows in turn: any; three values only; the largest twice, at the end, too; all alike; nothing but minus infinity and
// one; nothing but no number and one; falling, so that one item of a group owns neighbours in the list.
static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_top_args *p = args;
    (void)counts, (void)step;
    for (uint32_t r = 0; r < p->rows; ++r) {
        double *const x = values[0] + (uint64_t)r * p->cols;
        const uint32_t one = sy_rng_u32(rng) % p->cols, kind = r % 7;
        for (uint32_t i = 0; i < p->cols; ++i) {
            if (kind == 1)
                x[i] = sy_rng_u32(rng) % 3;
            if (kind >= 3 && kind < 6)
                x[i] = kind == 3 ? -7.0 : kind == 4 ? -INFINITY : NAN;
            if (kind == 6)
                x[i] = i % 256 == one % 256 ? 9.0 - i / 4096.0 : x[i];
        }
        if (kind == 2)
            x[one] = x[p->cols - 1] = 9.0;
        if (kind == 4 || kind == 5)
            x[one] = -3.0;
    }
}

/// Those of these rows; a row in which something is not a number has no probabilities.
static bool compare(const void *args, uint32_t binding, uint64_t element, double *const *inputs)
{
    const struct sy_top_args *p = args;
    (void)inputs;
    return element / p->k >= p->first && (binding == 2 || (element / p->k - p->first) % 7 != 5);
}

SY_OP_CASES(top, cases, .fill = fill, .compare = compare, .tolerance_f32 = 4e-6, .tolerance_bf16 = 4e-6,
            .reason = "sums of up to 9,009 terms in f32; places are compared exactly");
