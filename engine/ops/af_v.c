// SPDX-License-Identifier: Apache-2.0
// af_v.c: the full second moment of Adafactor.
#include "engine/ops/adafactor.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_adafactor_args *a = args;
    const double beta = sy_step_of(&t[3])->beta2;
    for (uint64_t row = 0; row < sy_af_rows(a); ++row) {
        double u2 = 0.0, w2 = 0.0;
        for (uint64_t i = row * a->cols; i < (row + 1) * a->cols; ++i) {
            const double g = sy_af_grad(&t[0], &t[2], i), w = sy_ld(&t[1], i);
            const double v = beta * sy_ld(&t[4], i) + (1.0 - beta) * sy_af_square(g);
            sy_st(&t[4], i, v);
            u2 += g * g / v;
            w2 += w * w;
        }
        sy_st(&t[5], row, w2);
        sy_st(&t[6], row, u2);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_adafactor_args *a = args;
    return SY_PIECES(sy_af_rows(a), SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_adafactor_args *a = args;
    switch (i) {
    case 2: return 2;
    case 3: return sizeof(struct sy_step) / 4;
    case 5:
    case 6: return sy_af_rows(a);
    default: return sy_af_matrices(a);
    }
}

static double flops(const void *args)
{
    const struct sy_adafactor_args *a = args;
    return 10.0 * (double)sy_af_matrices(a);
}

const struct sy_op_impl sy_op_impl_af_v = {.ref = ref, .groups = groups, .elements = elements, .flops = flops};
