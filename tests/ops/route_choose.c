// SPDX-License-Identifier: Apache-2.0
// route_choose: one to many rounds, ties (lowest index first), padding, draws from p.
#include "tests/ops/route.h"

static const struct sy_route_choose_args cases[] = {
    {.rows = 1, .experts = 1, .rounds = 1},
    {.rows = 13, .experts = 2, .rounds = 2},
    {.rows = 65, .experts = 5, .rounds = 4},
    {.rows = 100, .experts = 8, .rounds = 1},
    {.rows = 17, .experts = 33, .rounds = 2},
    {.rows = 33, .experts = 64, .rounds = 4},
    {.rows = 9, .experts = 300, .rounds = 3},
    {.rows = 3, .experts = 2049, .rounds = 4},
    {.rows = 40, .experts = 7, .rounds = 7},
    {.rows = 20, .experts = 16, .rounds = 2},
    {.rows = 5, .experts = 1, .rounds = 1, .sample = 1, .stream = 5},
    {.rows = 65, .experts = 5, .rounds = 1, .sample = 1, .stream = 6, .stack = 1},
    {.rows = 33, .experts = 64, .rounds = 1, .sample = 1, .stream = 7},
    {.rows = 6, .experts = 300, .rounds = 1, .sample = 1, .stream = 8, .stack = 1},
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts;
    const struct sy_route_choose_args *p = args;
    const enum sy_case_pattern patterns[] = {SY_CASE_ANY, SY_CASE_TIES, SY_CASE_PADDED, SY_CASE_ONE_EXPERT};
    const size_t index = (size_t)(p - cases);
    sy_case_probabilities(patterns[index % 4], p->rows, p->experts, values[0], rng);
    sy_case_mask(patterns[index % 3], p->rows, p->rows, values[1], rng);
    step->row_enc = 65530;
    step->seed_lo = sy_rng_u32(rng);
    if (p->experts > 2) // experts that are never drawn, at both ends
        for (uint32_t row = 0; row < p->rows; ++row)
            values[0][(uint64_t)row * p->experts] = values[0][(uint64_t)(row + 1) * p->experts - 1] = 0;
}

SY_OP_CASES(route_choose, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0, .reason = "integers");
