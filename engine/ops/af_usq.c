// SPDX-License-Identifier: Apache-2.0
// af_usq.c: sums of the squares of Adafactor's factored update.
#include "engine/ops/matrices.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_matrices_args *a = args;
    for (uint64_t id = a->first; id < (uint64_t)a->first + a->count; ++id) {
        const struct sy_block b = sy_block_of(&t[0], a, id);
        double sum = 0.0;
        for (uint64_t row = 0; row < b.rows; ++row)
            for (uint64_t j = 0; j < b.cols; ++j) {
                const double u = sy_af_update(&b, &t[1], &t[2], &t[3], &t[4], &t[5], row, j);
                sum += u * u;
            }
        sy_st(&t[6], id, sum);
    }
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_matrices_args *a = args;
    switch (i) {
    case 0: return sy_matrices_table(a);
    case 1: return a->elements;
    case 2: return a->rows;
    case 3: return a->matrices;
    case 4: return a->cols;
    case 5: return 2;
    default: return a->blocks;
    }
}

/// The matrices, not all of their pack.
static uint64_t moved(const void *args, uint32_t i)
{
    return i == 1 ? ((const struct sy_matrices_args *)args)->work : elements(args, i);
}

static double flops(const void *args) { return 6.0 * ((const struct sy_matrices_args *)args)->work; }

const struct sy_op_impl sy_op_impl_af_usq = {
    .ref = ref, .groups = sy_matrices_groups, .elements = elements, .moved = moved, .flops = flops};
