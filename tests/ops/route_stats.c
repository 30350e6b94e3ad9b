// SPDX-License-Identifier: Apache-2.0
// route_stats: padding, lost tokens, several choices a token, gates that count once a token, several slices.
#include "tests/ops/route.h"

static const struct sy_route_stats_args cases[] = {
    {.rows = 1, .k = 1, .groups = 1, .experts = 1, .gate_step = 1, .slices = 1},
    {.rows = 37, .k = 1, .groups = 3, .experts = 5, .gate_step = 1, .slices = 1},
    {.rows = 300, .k = 2, .groups = 6, .experts = 8, .gate_step = 2, .slices = 1},
    {.rows = 64, .k = 2, .groups = 8, .experts = 300, .gate_step = 2, .slices = 4},
    {.rows = 48, .k = 7, .groups = 4, .experts = 7, .gate_step = 1, .slices = 2},
    {.rows = 1024, .k = 1, .groups = 16, .experts = 16, .gate_step = 1, .slices = 8},
    {.rows = 90, .k = 3, .groups = 3, .experts = 2049, .gate_step = 1, .slices = 3},
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)step;
    const struct sy_route_stats_args *p = args;
    for (uint64_t i = 0; i < counts[0]; ++i)
        values[0][i] = sy_rng_u32(rng) % 20;
    for (uint64_t i = 0; i < counts[1]; ++i)
        values[1][i] = sy_rng_u32(rng) % 3 == 0 ? -1.0 : sy_rng_u32(rng) % 100;
    for (uint64_t i = 0; i < counts[2]; ++i)
        values[2][i] = sy_rng_u32(rng) % 4 == 0 ? 0.0 : sy_rng_uniform(rng);
    sy_case_mask(SY_CASE_PADDED, p->rows, p->rows / p->groups, values[3], rng);
}

SY_OP_CASES(route_stats, cases, .fill = fill, .tolerance_f32 = 1e-6, .tolerance_bf16 = 1e-6,
            .reason = "counts are exact; sums of up to 1,024 gates in f32");
