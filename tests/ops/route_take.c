// SPDX-License-Identifier: Apache-2.0
// route_take: expert choice; capacity below, at and above the tokens of a group, ties, padding, short last groups.
#include "tests/ops/route.h"

#define ROW(r, g, e, c)                                                                   \
    {                                                                                     \
        .rows = r, .group = g, .groups = ((r) + (g)-1) / (g), .experts = e, .capacity = c \
    }

static const struct sy_route_take_args cases[] = {
    ROW(1, 1, 1, 1),    ROW(13, 13, 4, 3),   ROW(36, 10, 4, 2),     ROW(100, 100, 8, 100),
    ROW(65, 17, 5, 17), ROW(70, 30, 3, 40),  ROW(300, 300, 2, 150), ROW(40, 40, 33, 1),
    ROW(20, 1, 6, 1),   ROW(128, 64, 16, 8), ROW(50, 25, 300, 1),   ROW(90, 45, 7, 12),
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts, (void)step;
    const struct sy_route_take_args *p = args;
    const size_t index = (size_t)(p - cases);
    const enum sy_case_pattern padding[] = {SY_CASE_ANY, SY_CASE_PADDED, SY_CASE_NO_GROUP_0,
                                            SY_CASE_ANY, SY_CASE_PADDED, SY_CASE_ALL_PADDED};
    sy_case_probabilities(index % 3 == 2 ? SY_CASE_TIES : SY_CASE_ANY, p->rows, p->experts, values[0], rng);
    sy_case_mask(padding[index % 6], p->rows, p->group, values[1], rng);
    if (index == 3) // probabilities of exactly 0 are taken too when there is room
        for (uint32_t row = 0; row < p->rows; row += 2)
            values[0][(uint64_t)row * p->experts] = 0;
}

SY_OP_CASES(route_take, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0, .reason = "integers");
