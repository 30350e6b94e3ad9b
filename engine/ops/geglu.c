// SPDX-License-Identifier: Apache-2.0
// geglu: y = dropout(f(x0) · x1), x0 and x1 the two halves of a row; f is gelu_tanh or another activation.
#include "engine/ops/activation.h"
#include "engine/ops/dropout.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_ffn_act_args *p = args;
    for (uint32_t row = 0; row < p->rows; ++row) {
        if (p->indexed == 2 && sy_ldi(&b[1], row) < 0)
            continue; // not of this part
        for (uint32_t col = 0; col < p->cols; ++col) {
            const uint64_t gate = 2 * (uint64_t)row * p->cols + col, linear = gate + p->cols;
            const double factor = sy_ffn_factor(p, sy_step_of(&b[2]), &b[1], row, col);
            const double a = sy_ld(&b[0], gate), y = a * sy_act_share(p->act, a) * sy_ld(&b[0], linear);
            sy_st(&b[3], (uint64_t)row * p->cols + col, factor > 0 ? y * factor : 0.0);
        }
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_ffn_act_args *p = args;
    return sy_ceil_div(p->rows, SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_ffn_act_args *p = args;
    const uint64_t all = (uint64_t)p->rows * p->cols;
    const uint64_t counts[] = {2 * all, p->indexed ? p->rows : 0, SY_STEP_ELEMENTS, all};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_ffn_act_args *p = args;
    return 20.0 * p->rows * p->cols;
}

static void sample(const void *args, uint32_t i, int32_t *out)
{
    const struct sy_ffn_act_args *p = args;
    sy_sample_rows(out, elements(args, i), (uint64_t)p->rows * p->k);
}

const struct sy_op_impl sy_op_impl_geglu = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
    .epilogue = SY_EPILOGUE_GATED,
    .settings = SY_SETTINGS({.wg = 128}, {.wg = 256}),
    .sample = sample,
};
