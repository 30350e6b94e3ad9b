// SPDX-License-Identifier: Apache-2.0
// route_tiles: empty experts, experts of less than, exactly and more than a tile, no rows at all.
#include "tests/ops.h"

static const struct sy_route_tiles_args cases[] = {
    {.experts = 1, .tile_rows = 64, .tiles = 2, .slices = 1},
    {.experts = 4, .tile_rows = 16, .tiles = 40, .slices = 1},
    {.experts = 17, .tile_rows = 48, .tiles = 40, .slices = 1},
    {.experts = 65, .tile_rows = 1, .tiles = 6500, .slices = 1},
    {.experts = 300, .tile_rows = 64, .tiles = 900, .slices = 1},
    {.experts = 2049, .tile_rows = 48, .tiles = 6200, .slices = 1},
    {.experts = 6, .tile_rows = 13, .tiles = 60, .slices = 1},
    {.experts = 7, .tile_rows = 16, .tiles = 100, .slices = 4},
    {.experts = 5, .tile_rows = 64, .tiles = 7, .slices = 1},
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts, (void)step;
    const struct sy_route_tiles_args *p = args;
    const bool nothing = p == &cases[SY_COUNT(cases) - 1];
    for (uint64_t e = 0; e < (uint64_t)p->experts * p->slices; ++e) {
        const uint32_t kind = nothing ? 0 : sy_rng_u32(rng) % 4;
        const uint32_t rows[] = {0, p->tile_rows, sy_rng_u32(rng) % 100, 2 * p->tile_rows};
        values[0][e + 1] = values[0][e] + (rows[kind] < 100 ? rows[kind] : 99);
    }
}

SY_OP_CASES(route_tiles, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0, .reason = "integers");
