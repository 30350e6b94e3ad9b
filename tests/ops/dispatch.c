// SPDX-License-Identifier: Apache-2.0
// dispatch: odd widths, more and fewer slots than choices, unused slots, one to seven places a token.
#include "tests/ops/route.h"

static const struct sy_dispatch_args cases[] = {
    {.rows = 1, .slots = 1, .dim = 1, .k = 1},      {.rows = 13, .slots = 17, .dim = 13, .k = 1},
    {.rows = 65, .slots = 40, .dim = 17, .k = 1},   {.rows = 33, .slots = 66, .dim = 65, .k = 2},
    {.rows = 100, .slots = 100, .dim = 64, .k = 1}, {.rows = 20, .slots = 30, .dim = 300, .k = 2},
    {.rows = 17, .slots = 50, .dim = 31, .k = 7},   {.rows = 5, .slots = 3, .dim = 1030, .k = 1},
    {.rows = 40, .slots = 1, .dim = 48, .k = 1},
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts, (void)step;
    const struct sy_dispatch_args *p = args;
    sy_case_match(p->rows, p->k, p->slots, NULL, values[1], rng);
}

SY_OP_CASES(dispatch, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0, .reason = "rows are copied");
