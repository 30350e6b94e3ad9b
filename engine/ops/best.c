// SPDX-License-Identifier: Apache-2.0
// best: the most probable token of each row of logits.
#include "engine/op.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_best_args *p = args;
    for (uint32_t row = 0; row < p->rows; ++row) {
        const uint64_t at = (uint64_t)row * p->cols;
        double top = -INFINITY;
        uint32_t place = p->cols;
        for (uint32_t i = 0; i < p->cols; ++i) {
            const double v = sy_ld(&b[0], at + i);
            if (v > top || (v == top && place == p->cols)) {
                top = v;
                place = i;
            }
        }
        sy_sti(&b[1], (uint64_t)p->first + row, place < p->cols ? (int32_t)place : 0);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    const struct sy_best_args *p = args;
    return p->rows;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_best_args *p = args;
    return i == 0 ? (uint64_t)p->rows * p->cols : p->rows == 0 ? 0 : (uint64_t)p->first + p->rows;
}

static uint64_t moved(const void *args, uint32_t i)
{
    const struct sy_best_args *p = args;
    return i == 0 ? elements(args, i) : p->rows;
}

static double flops(const void *args)
{
    const struct sy_best_args *p = args;
    return (double)p->rows * p->cols;
}

/// Rows of logits.
static uint64_t unit(const void *args, uint32_t i, uint64_t *planes)
{
    const struct sy_best_args *p = args;
    (void)planes;
    return i == 0 ? p->cols : 0;
}

static void some(void *args, uint64_t first, uint64_t count)
{
    struct sy_best_args *p = args;
    p->first += (u32)first;
    p->rows = (u32)count;
}

static const struct sy_axis axis = {.unit = unit, .some = some};

const struct sy_op_impl sy_op_impl_best = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .moved = moved,
    .only_written = 1u << 1,
    .flops = flops,
    .wg_simt = 256, // a row is tens of thousands of logits
    .axis = &axis,
};
