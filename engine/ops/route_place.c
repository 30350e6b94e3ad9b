// SPDX-License-Identifier: Apache-2.0
// route_place: every choice's place in its expert's queue, in token order within a group (spec §4.5).
#include "engine/op.h"
#include "kernels/chunk.h"
#include "kernels/route.h"

/// Round r of one group. `next` = kept [groups, experts]: places taken in each expert so far.
static void ref_round(const struct sy_route_place_args *p, const struct sy_ref_tensor *b, uint64_t g, uint64_t r)
{
    const uint64_t first = g * p->group, end = first + p->group < p->rows ? first + p->group : p->rows;
    for (uint64_t row = first; row < end; ++row) {
        const int32_t e = sy_ldi(&b[0], row * p->rounds + r);
        const uint64_t at = p->kind == 1 ? row : row * p->k + r, cell = g * p->experts + (uint64_t)(e < 0 ? 0 : e);
        const bool placed = p->kind == 1 && r > 0 && sy_ldi(&b[1], at) >= 0;
        if (placed)
            continue;
        sy_sti(&b[1], at, -1);
        sy_sti(&b[2], at, -1);
        if (e < 0)
            continue;
        const int32_t place = sy_ldi(&b[4], cell);
        sy_sti(&b[4], cell, place + 1);
        if (r == 0)
            sy_sti(&b[3], cell, sy_ldi(&b[3], cell) + 1);
        if (p->kind == 0 || (uint32_t)place < p->capacity) {
            sy_sti(&b[1], at, e);
            sy_sti(&b[2], at, place);
        }
    }
    for (uint64_t cell = g * p->experts; cell < (g + 1) * p->experts; ++cell)
        if ((uint32_t)sy_ldi(&b[4], cell) > p->capacity) // the next round starts after the rows that were kept
            sy_sti(&b[4], cell, (int32_t)p->capacity);
}

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_route_place_args *p = args;
    for (uint64_t cell = 0; cell < (uint64_t)p->groups * p->experts; ++cell) {
        sy_sti(&b[3], cell, 0);
        sy_sti(&b[4], cell, 0);
    }
    for (uint64_t g = 0; g < p->groups; ++g)
        for (uint64_t r = 0; r < p->rounds; ++r)
            ref_round(p, b, g, r);
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_route_place_args *p = args;
    const bool together = p->kind == 1 || knobs->wg == 1;
    return p->groups * (together ? 1 : sy_ceil_div(p->experts, SY_ROUTE_TILE(knobs->wg)));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_route_place_args *p = args;
    const uint64_t choices = (uint64_t)p->rows * p->rounds, places = (uint64_t)p->rows * p->k;
    const uint64_t cells = (uint64_t)p->groups * p->experts;
    const uint64_t counts[] = {choices, places, places, cells, cells};
    return counts[i];
}

const struct sy_op_impl sy_op_impl_route_place = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = sy_no_flops,
    .wg_simt = 64, // loop trips per item grow with WG² · experts: wider groups reach the limit of software Vulkan first
};
