// SPDX-License-Identifier: Apache-2.0
// xent: one column and many, ties of the maximum on both sides of the label, ignored labels, smoothing, z-loss.
#include "tests/ops.h"

static const struct sy_xent_args cases[] = {
    {.rows = 1, .vocab = 1, .z_coef = 0.0f, .smoothing = 0.0f},
    {.rows = 4, .vocab = 13, .z_coef = 0.0f, .smoothing = 0.0f},
    {.rows = 9, .vocab = 17, .z_coef = 1e-4f, .smoothing = 0.0f},
    {.rows = 8, .vocab = 65, .z_coef = 0.0f, .smoothing = 0.1f},
    {.rows = 17, .vocab = 100, .z_coef = 1e-2f, .smoothing = 0.1f},
    {.rows = 12, .vocab = 384, .z_coef = 1e-4f, .smoothing = 0.0f},
    {.rows = 5, .vocab = 4099, .z_coef = 0.0f, .smoothing = 0.0f},
    {.rows = 2, .vocab = 40009, .z_coef = 1e-4f, .smoothing = 0.05f},
    {.rows = 7, .vocab = 33, .z_coef = 1e-3f, .smoothing = 0.1f, .first = 5}, // rows of more
    {.rows = 7, .vocab = 33, .z_coef = 1e-3f, .smoothing = 0.1f, .first = 2, .each = 3, .apart = 5, .at = 1}, // a part
};

// Rows in turn: the label holds the maximum; shares it with a later column; shares it with an earlier one; is ignored;
// is any; and logits far from zero.
static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_xent_args *p = args;
    (void)counts, (void)step;
    for (uint32_t r = 0; r < p->rows; ++r) {
        double *const x = values[0] + (uint64_t)r * p->vocab;
        const uint32_t label = sy_rng_u32(rng) % p->vocab, kind = r % 6;
        values[1][SY_XENT_PLACE(*p, r)] = kind == 3 ? -100.0 : (double)label;
        if (kind < 3)
            x[label] = 9.0;
        if (kind == 1)
            x[p->vocab - 1] = 9.0;
        if (kind == 2)
            x[0] = 9.0;
        for (uint32_t i = 0; i < p->vocab && kind == 5; ++i)
            x[i] = x[i] * 20.0 + (r % 2 != 0 ? 3000.0 : -3000.0);
    }
}

/// The rows that belong to these logits.
static bool compare(const void *args, uint32_t binding, uint64_t element, double *const *inputs)
{
    const struct sy_xent_args *p = args;
    (void)binding, (void)inputs;
    for (uint32_t r = 0; r < p->rows; ++r)
        if (element / 4 == SY_XENT_PLACE(*p, r))
            return true;
    return false;
}

SY_OP_CASES(xent, cases, .fill = fill, .compare = compare, .tolerance_f32 = 4e-6, .tolerance_bf16 = 4e-6,
            .reason = "sums of up to 40,009 terms in f32; correct is compared exactly enough as 0 or 1");
