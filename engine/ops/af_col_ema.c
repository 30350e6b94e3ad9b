// SPDX-License-Identifier: Apache-2.0
// af_col_ema.c: column statistics of Adafactor.
#include "engine/ops/adafactor.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_adafactor_args *a = args;
    const double beta = sy_step_of(&t[1])->beta2;
    for (uint64_t p = 0; p < a->parts; ++p)
        for (uint64_t j = 0; j < a->cols; ++j) {
            double sum = 0.0;
            for (uint64_t b = 0; b < a->blocks; ++b)
                sum += sy_ld(&t[0], (p * a->blocks + b) * a->cols + j);
            const uint64_t at = p * a->cols + j;
            sy_st(&t[2], at, beta * sy_ld(&t[2], at) + (1.0 - beta) * sum / a->rows);
        }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_adafactor_args *a = args;
    return a->parts * (uint64_t)SY_PIECES(a->cols, SY_COLS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_adafactor_args *a = args;
    switch (i) {
    case 0: return sy_af_cols(a) * a->blocks;
    case 1: return sizeof(struct sy_step) / 4;
    default: return sy_af_cols(a);
    }
}

static double flops(const void *args)
{
    const struct sy_adafactor_args *a = args;
    return (double)sy_af_cols(a) * (a->blocks + 4.0);
}

const struct sy_op_impl sy_op_impl_af_col_ema = {.ref = ref, .groups = groups, .elements = elements, .flops = flops};
