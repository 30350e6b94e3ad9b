// SPDX-License-Identifier: Apache-2.0
// route_slots: dropped choices, padding, more slots than choices and fewer, no used slot at all.
#include "tests/ops/route.h"

#define ROW(r, k_, g, e, c, s)                                                               \
    {                                                                                        \
        .rows = r, .k = k_, .group = g, .experts = e, .capacity = c, .slots = s, .slices = 1 \
    }

static const struct sy_route_slots_args cases[] = {
    ROW(1, 1, 1, 1, 1, 1),         ROW(13, 1, 13, 4, 2, 8),       ROW(36, 1, 10, 4, 2, 32),
    ROW(65, 2, 17, 5, 3, 60),      ROW(100, 1, 100, 8, 100, 100), ROW(300, 1, 128, 16, 9, 300),
    ROW(30, 7, 15, 7, 4, 56),      ROW(90, 2, 30, 40, 4, 180),    ROW(20, 1, 20, 3, 50, 200),
    ROW(1000, 1, 500, 6, 70, 840), ROW(64, 1, 16, 2049, 1, 64),   ROW(12, 1, 6, 4, 2, 16),
};

// Places as route_place and route_take leave them, and the offsets that follow from them.
static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)step;
    const struct sy_route_slots_args *p = args;
    const size_t index = (size_t)(p - cases);
    const enum sy_case_pattern patterns[] = {SY_CASE_ANY, SY_CASE_PADDED, SY_CASE_ONE_EXPERT, SY_CASE_NO_GROUP_0};
    const enum sy_case_pattern pattern = index + 1 == SY_COUNT(cases) ? SY_CASE_ALL_PADDED : patterns[index % 4];
    double *mask = calloc(p->rows, sizeof *mask), *kept = calloc(counts[2], sizeof *kept), start = 0;
    if (mask == NULL || kept == NULL)
        abort();
    sy_case_mask(pattern, p->rows, p->group, mask, rng);
    sy_case_experts(pattern, p->rows, p->experts, p->k, mask, values[0], rng);
    for (uint64_t i = 0; i < counts[0]; ++i) {
        const double e = values[0][i];
        double *next = &kept[i / p->k / p->group * p->experts + (e < 0 ? 0 : (uint64_t)e)];
        values[1][i] = e < 0 ? -1 : *next < p->capacity ? (*next)++ : p->capacity + sy_rng_u32(rng) % 3;
    }
    const uint64_t groups = counts[2] / p->experts;
    for (uint64_t e = 0; e < p->experts; ++e) {
        values[3][e] = start;
        for (uint64_t g = 0; g < groups; ++g) {
            values[2][g * p->experts + e] = start;
            start += kept[g * p->experts + e];
        }
    }
    values[3][p->experts] = start;
    free(mask);
    free(kept);
}

SY_OP_CASES(route_slots, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0, .reason = "integers");
