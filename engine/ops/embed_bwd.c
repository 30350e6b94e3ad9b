// SPDX-License-Identifier: Apache-2.0
// embed_bwd: table[s][id] += Σ dx[row] over the rows of slice s with that id.
#include "engine/op.h"
#include "kernels/chunk.h"

/// `rows`: of each slice.
static void add_slice(const struct sy_embed_bwd_args *p, const struct sy_ref_tensor *b, uint64_t slice, uint64_t rows)
{
    const uint64_t block = slice * (2 + 3 * rows), ids = block + 1, starts = ids + rows, list = starts + rows + 1;
    for (uint64_t u = 0; u < (uint64_t)sy_ldi(&b[0], block); ++u) {
        const uint32_t id = (uint32_t)sy_ldi(&b[0], ids + u) - p->first;
        if (p->part != 0 && id >= p->vocab)
            continue;
        const uint64_t to = (slice * p->vocab + (id < p->vocab ? id : p->vocab - 1)) * p->dim;
        const int32_t begin = sy_ldi(&b[0], starts + u), end = sy_ldi(&b[0], starts + u + 1);
        for (uint64_t j = 0; j < p->dim; ++j) {
            double sum = 0;
            for (int32_t r = begin; r < end; ++r) {
                const uint64_t row = slice * rows + (uint64_t)sy_ldi(&b[0], list + (uint64_t)r);
                sum += sy_ld(&b[1], row * p->dim + j);
            }
            sy_st(&b[2], to + j, sy_ld(&b[2], to + j) + sum);
        }
    }
}

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_embed_bwd_args *p = args;
    for (uint64_t s = 0; s < p->slices; ++s)
        add_slice(p, b, s, p->rows / p->slices);
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_embed_bwd_args *p = args;
    assert(p->slices != 0);
    return p->slices * sy_ceil_div(p->rows / p->slices, SY_ROWS(knobs->wg)) * sy_ceil_div(p->dim, SY_COLS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_embed_bwd_args *p = args;
    const uint64_t counts[] = {2 * (uint64_t)p->slices + 3 * (uint64_t)p->rows, (uint64_t)p->rows * p->dim,
                               (uint64_t)p->slices * p->vocab * p->dim};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_embed_bwd_args *p = args;
    return (double)p->rows * p->dim;
}

static uint64_t moved(const void *args, uint32_t i)
{
    const struct sy_embed_bwd_args *p = args;
    return i == 2 ? (uint64_t)p->rows * p->dim : elements(args, i); // at most one row per token
}

/// Rows of the table.
static uint64_t unit(const void *args, uint32_t i, uint64_t *planes)
{
    const struct sy_embed_bwd_args *p = args;
    *planes = p->slices;
    return i == 2 ? p->dim : 0;
}

static void some(void *args, uint64_t first, uint64_t count)
{
    struct sy_embed_bwd_args *p = args;
    p->first += (u32)first;
    p->vocab = (u32)count;
    p->part = 1;
}

static const struct sy_axis axis = {.unit = unit, .some = some};

const struct sy_op_impl sy_op_impl_embed_bwd = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .moved = moved,
    .flops = flops,
    .axis = &axis,
};
