// SPDX-License-Identifier: Apache-2.0
// af_apply_v.c: Adafactor's step with the full second moment.
#include "engine/ops/adafactor.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_adafactor_args *a = args;
    for (uint64_t i = 0; i < sy_af_matrices(a); ++i) {
        const double u = sy_af_grad(&t[0], &t[3], i) / sqrt(sy_ld(&t[1], i));
        sy_st(&t[4], i, sy_ld(&t[4], i) - sy_ld(&t[2], i / ((uint64_t)a->rows * a->cols)) * u);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_adafactor_args *a = args;
    return a->parts * (uint64_t)SY_PIECES((uint64_t)a->rows * a->cols, SY_CHUNK(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_adafactor_args *a = args;
    switch (i) {
    case 2: return a->parts;
    case 3: return 2;
    default: return sy_af_matrices(a);
    }
}

static double flops(const void *args)
{
    const struct sy_adafactor_args *a = args;
    return 5.0 * (double)sy_af_matrices(a);
}

const struct sy_op_impl sy_op_impl_af_apply_v = {.ref = ref, .groups = groups, .elements = elements, .flops = flops};
