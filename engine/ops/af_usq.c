// SPDX-License-Identifier: Apache-2.0
// af_usq.c: row sums of the squares of Adafactor's factored update.
#include "engine/ops/adafactor.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_adafactor_args *a = args;
    for (uint64_t p = 0; p < a->parts; ++p)
        for (uint64_t row = 0; row < a->rows; ++row) {
            double sum = 0.0;
            for (uint64_t j = 0; j < a->cols; ++j) {
                const double u = sy_af_update(a, &t[0], &t[1], &t[2], &t[3], &t[4], p, row, j);
                sum += u * u;
            }
            sy_st(&t[5], p * a->rows + row, sum);
        }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_adafactor_args *a = args;
    return a->parts * (uint64_t)SY_PIECES(a->rows, SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_adafactor_args *a = args;
    switch (i) {
    case 0: return sy_af_matrices(a);
    case 1: return sy_af_rows(a);
    case 2: return a->parts;
    case 3: return sy_af_cols(a);
    case 4: return 2;
    default: return sy_af_rows(a);
    }
}

static double flops(const void *args)
{
    const struct sy_adafactor_args *a = args;
    return 6.0 * (double)sy_af_matrices(a);
}

const struct sy_op_impl sy_op_impl_af_usq = {.ref = ref, .groups = groups, .elements = elements, .flops = flops};
