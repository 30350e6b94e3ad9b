// SPDX-License-Identifier: Apache-2.0
// sumsq.c: sums of squares over blocks of rows, for the global gradient norm.
#include "engine/ops/matrices.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_matrices_args *a = args;
    for (uint64_t id = a->first; id < (uint64_t)a->first + a->count; ++id) {
        const struct sy_block b = sy_block_of(&t[0], a, id);
        double sum = 0.0;
        for (uint64_t i = b.at; i < b.at + b.rows * b.cols; ++i)
            sum += sy_ld(&t[1], i) * sy_ld(&t[1], i);
        sy_st(&t[2], id, sum);
    }
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_matrices_args *a = args;
    switch (i) {
    case 0: return sy_matrices_table(a);
    case 1: return a->elements;
    default: return a->blocks;
    }
}

/// The matrices, not all of their pack.
static uint64_t moved(const void *args, uint32_t i)
{
    return i == 1 ? ((const struct sy_matrices_args *)args)->work : elements(args, i);
}

static double flops(const void *args) { return 2.0 * ((const struct sy_matrices_args *)args)->work; }

const struct sy_op_impl sy_op_impl_sumsq = {
    .ref = ref, .groups = sy_matrices_groups, .elements = elements, .moved = moved, .flops = flops};
