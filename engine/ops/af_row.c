// SPDX-License-Identifier: Apache-2.0
// af_row.c: row statistics of Adafactor.
#include "engine/ops/adafactor.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_adafactor_args *a = args;
    const double beta = sy_step_of(&t[3])->beta2;
    for (uint64_t row = 0; row < sy_af_rows(a); ++row) {
        double g2 = 0.0, w2 = 0.0;
        for (uint64_t i = row * a->cols; i < (row + 1) * a->cols; ++i) {
            g2 += sy_af_square(sy_af_grad(&t[0], &t[2], i));
            w2 += sy_ld(&t[1], i) * sy_ld(&t[1], i);
        }
        sy_st(&t[4], row, beta * sy_ld(&t[4], row) + (1.0 - beta) * g2 / a->cols);
        sy_st(&t[5], row, w2);
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
    case 0:
    case 1: return sy_af_matrices(a);
    case 2: return 2;
    case 3: return sizeof(struct sy_step) / 4;
    default: return sy_af_rows(a);
    }
}

static double flops(const void *args)
{
    const struct sy_adafactor_args *a = args;
    return 6.0 * (double)sy_af_matrices(a);
}

const struct sy_op_impl sy_op_impl_af_row = {.ref = ref, .groups = groups, .elements = elements, .flops = flops};
