// SPDX-License-Identifier: Apache-2.0
// af_mean.c: mean of the row statistics of Adafactor.
#include "engine/ops/adafactor.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_adafactor_args *a = args;
    for (uint64_t p = 0; p < a->parts; ++p) {
        double sum = 0.0;
        for (uint64_t row = 0; row < a->rows; ++row)
            sum += sy_ld(&t[0], p * a->rows + row);
        sy_st(&t[1], p, sum / a->rows);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_adafactor_args *a = args;
    (void)knobs;
    return a->parts;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_adafactor_args *a = args;
    switch (i) {
    case 0: return sy_af_rows(a);
    default: return a->parts;
    }
}

static double flops(const void *args)
{
    const struct sy_adafactor_args *a = args;
    return (double)sy_af_rows(a);
}

const struct sy_op_impl sy_op_impl_af_mean = {
    .ref = ref, .groups = groups, .elements = elements, .flops = flops, .wg_simt = 256};
