// SPDX-License-Identifier: Apache-2.0
// ffn_act.h: the cases of the ops on hidden activations of an FFN: odd shapes; by row and by slot (unused slots, one to
// three choices), by slot of a part (other rows stay as they were), several rates.
#pragma once

#include "tests/ops.h"

/// rows, cols, threshold, scale, stream, stack, indexed, k, act, first: all five activations in turns, from `act`
/// on.
#define FFN_ACT_CASES(act)                                                                                       \
    {1, 1, 0, 1.0f, 0, 0, 0, 0, ((act) + 0) % 5, 0}, {3, 13, 0x80000000u, 2.0f, 4, 1, 0, 0, ((act) + 1) % 5, 0}, \
        {17, 17, 429496730u, 1.1111112f, 5, 0, 0, 0, ((act) + 2) % 5, 0},                                        \
        {5, 65, 429496730u, 1.1111112f, 6, 1, 1, 1, ((act) + 3) % 5, 0},                                         \
        {33, 64, 429496730u, 1.1111112f, 7, 0, 1, 2, ((act) + 4) % 5, 64},                                       \
        {20, 128, 0x80000000u, 2.0f, 8, 1, 1, 3, ((act) + 0) % 5, 128},                                          \
        {7, 100, 0, 1.0f, 9, 0, 1, 1, ((act) + 1) % 5, 0},                                                       \
        {19, 66, 0xffffffffu, 1.0f, 10, 1, 1, 2, ((act) + 2) % 5, 12},                                           \
    {                                                                                                            \
        2, 260, 429496730u, 1.1111112f, 11, 0, 0, 0, ((act) + 3) % 5, 520                                        \
    }

/// The same, and those that write the rows of one part alone.
#define FFN_ACT_CASES_PARTS(act)                                                           \
    FFN_ACT_CASES(act), {21, 65, 429496730u, 1.1111112f, 12, 1, 2, 2, ((act) + 1) % 5, 0}, \
    {                                                                                      \
        9, 64, 429496730u, 1.1111112f, 12, 1, 2, 1, ((act) + 2) % 5, 64                    \
    }

/// Slots (binding `row`) in no order, some unused: those hold NaN in x, which must not reach the output. A row of x has
/// `width` times the columns of one of y.
static inline void ffn_act_slots(const struct sy_ffn_act_args *p, double *const *values, const uint64_t *counts,
                                 uint32_t row, uint64_t width, struct sy_rng *rng)
{
    for (uint64_t i = 0; i < counts[row] && p->indexed; ++i) {
        const bool unused = i % 4 == 2 || i + 1 == p->rows;
        values[row][i] = unused ? -1 : (int32_t)(sy_rng_u32(rng) % (p->k * 50));
        for (uint64_t j = 0; j < width * p->cols && unused; ++j)
            values[0][i * width * p->cols + j] = (double)NAN;
    }
}

static inline void ffn_act_fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                                struct sy_rng *rng)
{
    (void)step;
    ffn_act_slots(args, values, counts, 1, 1, rng);
}

/// Rows of other parts stay as they were.
static inline bool ffn_act_left_alone(const void *args, uint32_t binding, uint64_t element, double *const *inputs)
{
    const struct sy_ffn_act_args *p = args;
    return binding == 3 && p->indexed == 2 && inputs[1][element / p->cols] < 0;
}

static inline void ffn_act_fill_bwd(const void *args, double *const *values, const uint64_t *counts,
                                    struct sy_step *step, struct sy_rng *rng)
{
    (void)step;
    ffn_act_slots(args, values, counts, 2, 1, rng);
}
