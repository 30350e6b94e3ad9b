// SPDX-License-Identifier: Apache-2.0
// route_slots: the row of the expert side that each kept choice gets, and the way back.
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_route_slots_args *p = args;
    for (uint64_t s = (uint64_t)sy_ldi(&b[3], (uint64_t)p->experts * p->slices); s < p->slots; ++s)
        sy_sti(&b[5], s, -1);
    for (uint64_t i = 0; i < (uint64_t)p->rows * p->k; ++i) {
        const int32_t expert = sy_ldi(&b[0], i), pos = sy_ldi(&b[1], i);
        int32_t slot = -1;
        if (expert >= 0 && pos >= 0 && (uint32_t)pos < p->capacity) {
            slot = sy_ldi(&b[2], i / p->k / p->group * p->experts + (uint32_t)expert) + pos;
            sy_sti(&b[5], (uint64_t)slot, (int32_t)i);
        }
        sy_sti(&b[4], i, slot);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_route_slots_args *p = args;
    const uint64_t choices = (uint64_t)p->rows * p->k;
    return sy_ceil_div(choices > p->slots ? choices : p->slots, SY_CHUNK(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_route_slots_args *p = args;
    const uint64_t choices = (uint64_t)p->rows * p->k, cells = sy_ceil_div(p->rows, p->group) * p->experts;
    const uint64_t counts[] = {choices, choices, cells, (uint64_t)p->experts * p->slices + 1, choices, p->slots};
    return counts[i];
}

const struct sy_op_impl sy_op_impl_route_slots = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = sy_no_flops,
};
