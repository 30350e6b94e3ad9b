// SPDX-License-Identifier: Apache-2.0
// af_col.c: column sums of Adafactor, per block of rows.
#include "engine/ops/adafactor.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_adafactor_args *a = args;
    const uint64_t size = sy_ceil_div(a->rows, a->blocks);
    for (uint64_t p = 0; p < a->parts; ++p)
        for (uint64_t b = 0; b < a->blocks; ++b)
            for (uint64_t j = 0; j < a->cols; ++j) {
                double sum = 0.0;
                for (uint64_t row = b * size; row < (b + 1) * size && row < a->rows; ++row)
                    sum += sy_af_square(sy_af_grad(&t[0], &t[1], (p * a->rows + row) * a->cols + j));
                sy_st(&t[2], (p * a->blocks + b) * a->cols + j, sum);
            }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_adafactor_args *a = args;
    return (uint64_t)a->parts * a->blocks * SY_PIECES(a->cols, SY_COLS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_adafactor_args *a = args;
    switch (i) {
    case 0: return sy_af_matrices(a);
    case 1: return 2;
    default: return sy_af_cols(a) * a->blocks;
    }
}

static double flops(const void *args)
{
    const struct sy_adafactor_args *a = args;
    return 4.0 * (double)sy_af_matrices(a);
}

const struct sy_op_impl sy_op_impl_af_col = {.ref = ref, .groups = groups, .elements = elements, .flops = flops};
