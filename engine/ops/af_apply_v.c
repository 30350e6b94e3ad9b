// SPDX-License-Identifier: Apache-2.0
// af_apply_v.c: Adafactor's step with the full second moment.
#include "engine/ops/matrices.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_matrices_args *a = args;
    for (uint64_t id = a->first; id < (uint64_t)a->first + a->count; ++id) {
        const struct sy_block b = sy_block_of(&t[0], a, id);
        for (uint64_t i = 0; i < b.rows * b.cols; ++i) {
            const double u = sy_af_grad(&t[1], &t[4], b.at + i) / sqrt(sy_ld(&t[2], b.element + i));
            sy_st(&t[5], b.at + i, sy_ld(&t[5], b.at + i) - sy_ld(&t[3], b.number) * u);
        }
    }
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_matrices_args *a = args;
    switch (i) {
    case 0: return sy_matrices_table(a);
    case 1: return a->elements;
    case 2: return a->full;
    case 3: return a->matrices;
    case 4: return 2;
    default: return a->elements;
    }
}

/// The matrices, not all of their pack.
static uint64_t moved(const void *args, uint32_t i)
{
    return i == 1 || i == 5 ? ((const struct sy_matrices_args *)args)->work : elements(args, i);
}

static double flops(const void *args) { return 5.0 * ((const struct sy_matrices_args *)args)->work; }

const struct sy_op_impl sy_op_impl_af_apply_v = {
    .ref = ref, .groups = sy_matrices_groups, .elements = elements, .moved = moved, .flops = flops};
