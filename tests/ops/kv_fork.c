// SPDX-License-Identifier: Apache-2.0
// kv_fork: no past and a whole one, a position beyond the cache, beams that stay, beams that follow one row, odd
// widths.
#include "tests/ops.h"

static const struct sy_kv_fork_args cases[] = {
    {.batch = 1, .width = 1, .t_max = 1},   {.batch = 2, .width = 13, .t_max = 5},
    {.batch = 4, .width = 17, .t_max = 33}, {.batch = 8, .width = 64, .t_max = 64},
    {.batch = 12, .width = 65, .t_max = 6}, {.batch = 5, .width = 3, .t_max = 70},
};

/// Of three rows the second follows the first, of five or more all but the first follow it.
static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_kv_fork_args *p = args;
    (void)counts, (void)rng;
    for (u32 b = 0; b < p->batch; ++b)
        values[0][b] = p->batch == 5 ? 0 : b % 3 == 1 ? b - 1 : b;
    step->position = p->batch == 12 ? p->t_max + 3 : p->batch == 2 ? 0 : p->t_max - 1;
}

SY_OP_CASES(kv_fork, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0, .reason = "a copy");
