// SPDX-License-Identifier: Apache-2.0
// route_take: expert choice: every expert takes the most probable rows of its column in each group.
#include "engine/op.h"

/// The row of [first, end) with the largest p[·, e] that is neither padding nor taken; −1 when there is none.
static int64_t best_row(const struct sy_route_take_args *p, const struct sy_ref_tensor *b, uint64_t first, uint64_t end,
                        uint64_t e)
{
    int64_t best = -1;
    for (uint64_t row = first; row < end; ++row) {
        if (sy_ldi(&b[1], row) == 0 || sy_ldi(&b[2], row * p->experts + e) >= 0)
            continue;
        if (best < 0 || sy_ld(&b[0], row * p->experts + e) > sy_ld(&b[0], (uint64_t)best * p->experts + e))
            best = (int64_t)row;
    }
    return best;
}

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_route_take_args *p = args;
    for (uint64_t i = 0; i < (uint64_t)p->rows * p->experts; ++i) {
        sy_sti(&b[2], i, -1);
        sy_sti(&b[3], i, -1);
    }
    for (uint64_t g = 0; g < p->groups; ++g) {
        const uint64_t first = g * p->group, end = first + p->group < p->rows ? first + p->group : p->rows;
        for (uint64_t e = 0; e < p->experts; ++e) {
            uint32_t taken = 0;
            for (int64_t row; taken < p->capacity && (row = best_row(p, b, first, end, e)) >= 0; ++taken) {
                sy_sti(&b[2], (uint64_t)row * p->experts + e, (int32_t)e);
                sy_sti(&b[3], (uint64_t)row * p->experts + e, (int32_t)taken);
            }
            sy_sti(&b[4], g * p->experts + e, (int32_t)taken);
            sy_sti(&b[5], g * p->experts + e, (int32_t)taken);
        }
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    const struct sy_route_take_args *p = args;
    return (uint64_t)p->groups * p->experts;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_route_take_args *p = args;
    const uint64_t all = (uint64_t)p->rows * p->experts, cells = (uint64_t)p->groups * p->experts;
    const uint64_t counts[] = {all, p->rows, all, all, cells, cells};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_route_take_args *p = args;
    const double taken = p->capacity < p->group ? p->capacity : p->group;
    return (32.0 + taken) * p->rows * p->experts; // comparisons
}

const struct sy_op_impl sy_op_impl_route_take = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
    .wg_simt = 256,
};
