// SPDX-License-Identifier: Apache-2.0
// residual: y = x + dropout(f).
#include "engine/ops/dropout.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_dropout_args *p = args;
    const struct sy_drop_rule d = {p->threshold, p->stream, p->stack, p->scale};
    for (uint32_t row = 0; row < p->rows; ++row) {
        for (uint32_t col = 0; col < p->cols; ++col) {
            const uint64_t at = (uint64_t)row * p->cols + col;
            const double factor = sy_drop_factor(sy_step_of(&b[2]), &d, 0, row, col);
            sy_st(&b[3], at, sy_ld(&b[0], at) + (factor > 0 ? sy_ld(&b[1], at) * factor : 0.0));
        }
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_dropout_args *p = args;
    return sy_ceil_div(p->rows, SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_dropout_args *p = args;
    return i == 2 ? SY_STEP_ELEMENTS : (uint64_t)p->rows * p->cols;
}

static double flops(const void *args)
{
    const struct sy_dropout_args *p = args;
    return 2.0 * p->rows * p->cols;
}

const struct sy_op_impl sy_op_impl_residual = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
    .epilogue = SY_EPILOGUE_ELEMENT,
    .settings = SY_SETTINGS({.wg = 128}, {.wg = 256}),
};
