// SPDX-License-Identifier: Apache-2.0
// draw: one column and many, of all tokens, of the most probable, of those that reach a share, of both; nothing drawn;
// equal logits, minus infinity, no number.
#include "engine/draw.h"

#include "tests/ops.h"

static const struct sy_draw_args cases[] = {
    {.rows = 1, .cols = 1},    {.rows = 7, .cols = 13},
    {.rows = 7, .cols = 16},   {.rows = 7, .cols = 33},
    {.rows = 7, .cols = 384},  {.rows = 7, .cols = 4099},
    {.rows = 5, .cols = 4100}, {.rows = 4, .cols = 4101},
    {.rows = 2, .cols = 6009}, // more would be too many rounds of loops for lavapipe in groups of 8 (docs/drivers.md)
    {.rows = 7, .cols = 777},  {.rows = 7, .cols = 65, .first = 5}, // rows of more
};

/// How a case draws: from what its columns are, so that each way comes with few and with many.
static void words(const struct sy_draw_args *p, double *how)
{
    static const double temperatures[] = {1.0, 0.3, 2.5, 40.0}, shares[] = {0.0, 0.9, 0.4, 0.999};
    const uint32_t ks[] = {0, 1 + p->cols / 3, 0, 2, 5};
    u32 out[SY_DRAW_WORDS];
    sy_draw_words(temperatures[p->cols % 4], ks[p->cols % 5], shares[p->cols / 2 % 4], 0x123456789abcdefu, 3, out);
    for (uint32_t i = 0; i < SY_DRAW_WORDS; ++i)
        how[i] = (int32_t)out[i];
    if (p->cols == 4101)
        how[SY_DRAW_SCALE] = 0.0; // the most probable ones stay
}

// Rows in turn: any; three values only; all alike; nothing but minus infinity and two; nothing but no number and one;
// far below zero; all minus infinity.
static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_draw_args *p = args;
    (void)counts;
    step->position = p->cols % 7;
    words(p, values[1]);
    for (uint32_t r = 0; r < p->rows; ++r) {
        double *const x = values[0] + (uint64_t)r * p->cols, first = x[0];
        const uint32_t one = sy_rng_u32(rng) % p->cols, kind = r % 7;
        uint32_t top = 0;
        for (uint32_t i = 0; i < p->cols; ++i) {
            const double given = x[i];
            x[i] = kind == 1   ? sy_rng_u32(rng) % 3
                   : kind == 2 ? -7.0
                   : kind == 3 ? -INFINITY
                   : kind == 4 ? NAN
                   : kind == 5 ? given - 300.0
                   : kind == 6 ? -INFINITY
                               : given;
        }
        if (kind == 3)
            x[one] = x[0] = first;
        if (kind == 4)
            x[one] = 1.0;
        for (uint32_t i = 0; i < p->cols; ++i)
            top = (float)x[i] > (float)x[top] || isnan(x[top]) ? i : top;
        values[3][p->first + r] = top;
    }
}

static bool left_alone(const void *args, uint32_t binding, uint64_t element, double *const *inputs)
{
    const struct sy_draw_args *p = args;
    (void)inputs;
    return binding == 3 && element < p->first;
}

SY_OP_CASES(draw, cases, .fill = fill, .left_alone = left_alone, .tolerance_f32 = 0, .tolerance_bf16 = 0,
            .reason = "integers");
