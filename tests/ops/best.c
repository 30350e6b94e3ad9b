// SPDX-License-Identifier: Apache-2.0
// best: one column and many, ties, rows of one value, of minus infinity and of no number.
#include "tests/ops.h"

static const struct sy_best_args cases[] = {
    {.rows = 1, .cols = 1},     {.rows = 6, .cols = 13},
    {.rows = 7, .cols = 16},    {.rows = 9, .cols = 33},
    {.rows = 12, .cols = 384},  {.rows = 6, .cols = 4099},
    {.rows = 3, .cols = 40009}, {.rows = 7, .cols = 33, .first = 5}, // rows of more
};

// Rows in turn: any; the largest twice; the largest at the end; all alike; nothing but minus infinity; no number, but
// for one (a row of one column has none).
static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_best_args *p = args;
    (void)counts, (void)step;
    for (uint32_t r = 0; r < p->rows; ++r) {
        double *const x = values[0] + (uint64_t)r * p->cols;
        const uint32_t one = sy_rng_u32(rng) % p->cols, kind = r % 6;
        for (uint32_t i = 0; i < p->cols && kind >= 3; ++i)
            x[i] = kind == 3 ? -7.0 : kind == 4 ? -INFINITY : NAN;
        if (kind == 1)
            x[one] = x[p->cols - 1] = 9.0;
        if (kind == 2)
            x[p->cols - 1] = 9.0;
        if (kind == 5)
            x[one] = -3.0;
    }
}

/// Those of these rows.
static bool compare(const void *args, uint32_t binding, uint64_t element, double *const *inputs)
{
    const struct sy_best_args *p = args;
    (void)binding, (void)inputs;
    return element >= p->first;
}

SY_OP_CASES(best, cases, .fill = fill, .compare = compare, .tolerance_f32 = 0, .tolerance_bf16 = 0,
            .reason = "integers");
