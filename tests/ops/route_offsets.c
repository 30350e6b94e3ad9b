// SPDX-License-Identifier: Apache-2.0
// route_offsets: empty experts, empty groups, nothing kept at all, more experts than work-items.
#include "tests/ops.h"

static const struct sy_route_offsets_args cases[] = {
    {.groups = 1, .experts = 1, .slices = 1},    {.groups = 3, .experts = 4, .slices = 1},
    {.groups = 13, .experts = 17, .slices = 1},  {.groups = 1, .experts = 65, .slices = 1},
    {.groups = 7, .experts = 300, .slices = 1},  {.groups = 40, .experts = 8, .slices = 1},
    {.groups = 2, .experts = 2049, .slices = 1}, {.groups = 12, .experts = 5, .slices = 4},
    {.groups = 8, .experts = 300, .slices = 8},  {.groups = 5, .experts = 6, .slices = 1},
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)step;
    const bool nothing = (const struct sy_route_offsets_args *)args == &cases[SY_COUNT(cases) - 1];
    for (uint64_t i = 0; i < counts[0]; ++i)
        values[0][i] = nothing || sy_rng_u32(rng) % 3 == 0 ? 0 : sy_rng_u32(rng) % 20;
}

SY_OP_CASES(route_offsets, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0, .reason = "integers");
