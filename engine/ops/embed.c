// SPDX-License-Identifier: Apache-2.0
// embed: x[row] = table[ids[row]].
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_embed_args *p = args;
    for (uint64_t row = 0; row < p->rows; ++row) {
        const uint32_t id = (uint32_t)sy_ldi(&b[0], row) - p->first;
        if (p->part != 0 && id >= p->vocab)
            continue; // of a whole table a negative id wraps and is clamped, as in the kernels
        const uint64_t from = (uint64_t)(id < p->vocab ? id : p->vocab - 1) * p->dim;
        for (uint64_t j = 0; j < p->dim; ++j)
            sy_st(&b[2], row * p->dim + j, sy_ld(&b[1], from + j));
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_embed_args *p = args;
    return sy_ceil_div(p->rows, SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_embed_args *p = args;
    const uint64_t counts[] = {p->rows, (uint64_t)p->vocab * p->dim, (uint64_t)p->rows * p->dim};
    return counts[i];
}

static uint64_t moved(const void *args, uint32_t i)
{
    const struct sy_embed_args *p = args;
    return i == 1 ? (uint64_t)p->rows * p->dim : elements(args, i); // the rows that are looked up
}

/// Rows of the table.
static uint64_t unit(const void *args, uint32_t i, uint64_t *planes)
{
    const struct sy_embed_args *p = args;
    (void)planes;
    return i == 1 ? p->dim : 0;
}

static void some(void *args, uint64_t first, uint64_t count)
{
    struct sy_embed_args *p = args;
    p->first += (u32)first;
    p->vocab = (u32)count;
    p->part = 1;
}

static const struct sy_axis axis = {.unit = unit, .some = some};

const struct sy_op_impl sy_op_impl_embed = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .moved = moved,
    .flops = sy_no_flops,
    .axis = &axis,
};
