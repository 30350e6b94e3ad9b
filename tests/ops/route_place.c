// SPDX-License-Identifier: Apache-2.0
// route_place: every router that queues (switch, top2, ntlb); short last groups, one group, groups of one token,
// capacity 1 to never full, more experts than local counters, everything to one expert, padding.
#include "tests/ops/route.h"

#define ROW(r, g, e, rounds_, kind_, c)                                                        \
    {                                                                                          \
        .rows = r, .group = g, .groups = ((r) + (g)-1) / (g), .experts = e, .rounds = rounds_, \
        .k = (kind_) == 1 ? 1 : rounds_, .kind = kind_, .capacity = c                          \
    }

static const struct sy_route_place_args cases[] = {
    ROW(1, 1, 1, 1, 0, 1),      ROW(13, 13, 4, 1, 0, 2),      ROW(36, 10, 4, 1, 0, 2),      ROW(100, 100, 8, 1, 0, 8),
    ROW(100, 1, 3, 1, 0, 1),    ROW(300, 128, 16, 1, 0, 9),   ROW(500, 500, 40, 1, 0, 500), ROW(130, 65, 100, 1, 0, 1),
    ROW(64, 64, 2049, 1, 0, 1), ROW(1000, 1000, 7, 1, 0, 90), ROW(257, 300, 33, 1, 0, 4),   ROW(90, 30, 5, 1, 0, 6),
    ROW(13, 13, 2, 2, 0, 3),    ROW(65, 17, 5, 2, 0, 3),      ROW(300, 100, 64, 2, 0, 2),   ROW(200, 200, 8, 2, 0, 20),
    ROW(90, 30, 40, 2, 0, 4),   ROW(128, 64, 6, 2, 0, 64),    ROW(1, 1, 1, 1, 1, 1),        ROW(13, 13, 4, 4, 1, 2),
    ROW(65, 17, 5, 4, 1, 2),    ROW(300, 128, 16, 4, 1, 4),   ROW(500, 500, 40, 4, 1, 9),   ROW(130, 65, 300, 4, 1, 1),
    ROW(90, 30, 3, 3, 1, 5),    ROW(256, 256, 33, 2, 1, 256), ROW(77, 1, 6, 4, 1, 1),       ROW(40, 40, 2049, 4, 1, 1),
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)counts, (void)step;
    const struct sy_route_place_args *p = args;
    const enum sy_case_pattern patterns[] = {SY_CASE_ANY, SY_CASE_PADDED, SY_CASE_ONE_EXPERT, SY_CASE_NO_GROUP_0,
                                             SY_CASE_ALL_PADDED};
    const enum sy_case_pattern pattern = patterns[(size_t)(p - cases) % 5];
    for (uint32_t row = 0; row < p->rows; ++row) {
        const bool padding = sy_case_is_padding(pattern, row, p->group, rng);
        const uint32_t first = pattern == SY_CASE_ONE_EXPERT ? p->experts - 1 : sy_rng_u32(rng) % p->experts;
        const uint32_t stride = p->experts > 2 * p->rounds ? 1 + row % 2 : 1; // `rounds` different experts
        for (uint32_t r = 0; r < p->rounds; ++r)
            values[0][(uint64_t)row * p->rounds + r] = padding ? -1.0 : (first + r * stride) % p->experts;
    }
}

SY_OP_CASES(route_place, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0, .reason = "integers");
