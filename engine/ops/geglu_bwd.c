// SPDX-License-Identifier: Apache-2.0
// geglu_bwd: dx0 = dropout(dy · x1 · f'(x0)), dx1 = dropout(dy · f(x0)).
#include "engine/ops/activation.h"
#include "engine/ops/dropout.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_ffn_act_args *p = args;
    for (uint32_t row = 0; row < p->rows; ++row) {
        for (uint32_t col = 0; col < p->cols; ++col) {
            const uint64_t gate = 2 * (uint64_t)row * p->cols + col, linear = gate + p->cols;
            const double factor = sy_ffn_factor(p, sy_step_of(&b[3]), &b[2], row, col);
            const double a = sy_ld(&b[0], gate), s = sy_act_share(p->act, a);
            const double dy = sy_ld(&b[1], (uint64_t)row * p->cols + col) * factor;
            sy_st(&b[4], gate, factor > 0 ? dy * sy_ld(&b[0], linear) * sy_act_slope(p->act, a, s) : 0.0);
            sy_st(&b[4], linear, factor > 0 ? dy * a * s : 0.0);
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
    const uint64_t counts[] = {2 * all, all, p->indexed ? p->rows : 0, SY_STEP_ELEMENTS, 2 * all};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_ffn_act_args *p = args;
    return 40.0 * p->rows * p->cols;
}

static void sample(const void *args, uint32_t i, int32_t *out)
{
    const struct sy_ffn_act_args *p = args;
    sy_sample_rows(out, elements(args, i), (uint64_t)p->rows * p->k);
}

const struct sy_op_impl sy_op_impl_geglu_bwd = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
    .epilogue = SY_EPILOGUE_GATED,
    .settings = SY_SETTINGS({.wg = 128}, {.wg = 256}),
    .sample = sample,
};
