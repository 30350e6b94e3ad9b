// SPDX-License-Identifier: Apache-2.0
// af_scale.c: the step size of each matrix in Adafactor.
#include "engine/ops/adafactor.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_adafactor_args *a = args;
    const double lr = sy_step_of(&t[2])->lr, n = (double)a->rows * a->cols;
    for (uint64_t p = 0; p < a->parts; ++p) {
        double w2 = 0.0, u2 = 0.0;
        for (uint64_t row = p * a->rows; row < (p + 1) * a->rows; ++row) {
            w2 += sy_ld(&t[0], row);
            u2 += sy_ld(&t[1], row);
        }
        sy_st(&t[3], p, lr * fmax(sqrt(w2 / n), 1e-3) / fmax(1.0, sqrt(u2 / n)));
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
    case 2: return sizeof(struct sy_step) / 4;
    case 3: return a->parts;
    default: return sy_af_rows(a);
    }
}

static double flops(const void *args)
{
    const struct sy_adafactor_args *a = args;
    return 2.0 * (double)sy_af_rows(a);
}

const struct sy_op_impl sy_op_impl_af_scale = {
    .ref = ref, .groups = groups, .elements = elements, .flops = flops, .wg_simt = 256};
