// SPDX-License-Identifier: Apache-2.0
// draw: a token of each row of logits, drawn by its probability (engine/draw.c).
#include "engine/draw.h"

#include "engine/op.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_draw_args *p = args;
    const u32 *how = b[1].data;
    for (uint32_t row = 0; row < p->rows && how[SY_DRAW_SCALE] != 0; ++row) {
        const uint64_t at = (uint64_t)p->first + row;
        const uint32_t top = (uint32_t)sy_ldi(&b[3], at) < p->cols ? (uint32_t)sy_ldi(&b[3], at) : p->cols - 1;
        const float *x = (const float *)b[0].data + (uint64_t)row * p->cols;
        sy_sti(&b[3], at, (int32_t)sy_draw(x, p->cols, top, how, (uint32_t)at, sy_step_of(&b[2])->position));
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    const struct sy_draw_args *p = args;
    return p->rows;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_draw_args *p = args;
    const uint64_t counts[] = {(uint64_t)p->rows * p->cols, SY_DRAW_WORDS, sizeof(struct sy_step) / 4,
                               p->rows == 0 ? 0 : (uint64_t)p->first + p->rows};
    return counts[i];
}

static uint64_t moved(const void *args, uint32_t i)
{
    const struct sy_draw_args *p = args;
    return i == 3 ? p->rows : elements(args, i);
}

static double flops(const void *args)
{
    const struct sy_draw_args *p = args;
    return 24.0 * p->rows * p->cols; // of all tokens; fewer candidates are looked for in tens of passes more
}

/// Rows of logits.
static uint64_t unit(const void *args, uint32_t i, uint64_t *planes)
{
    const struct sy_draw_args *p = args;
    (void)planes;
    return i == 0 ? p->cols : 0;
}

static void some(void *args, uint64_t first, uint64_t count)
{
    struct sy_draw_args *p = args;
    p->first += (u32)first;
    p->rows = (u32)count;
}

static const struct sy_axis axis = {.unit = unit, .some = some};

const struct sy_op_impl sy_op_impl_draw = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .moved = moved,
    .flops = flops,
    .wg_simt = 256, // a row is tens of thousands of logits, and gone through seventy times
    .axis = &axis,
};
