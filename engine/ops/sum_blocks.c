// SPDX-License-Identifier: Apache-2.0
// sum_blocks.c: block sums of a matrix added up, in the place of its name.
#include "engine/ops/matrices.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_matrices_args *a = args;
    for (uint64_t id = a->first; id < (uint64_t)a->first + a->count; ++id) {
        const struct sy_block m = sy_matrix_of(&t[0], a, id);
        double sum = 0.0;
        for (uint64_t i = 0; i < sy_ceil_div(m.rows, SY_MATRIX_ROWS); ++i)
            sum += sy_ld(&t[2], m.blocks + i);
        sy_st(&t[3], (uint64_t)sy_ldi(&t[1], id), sum);
    }
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_matrices_args *a = args;
    switch (i) {
    case 0: return sy_matrices_table(a);
    case 1: return a->matrices;
    case 2: return a->blocks;
    default: return a->everything;
    }
}

static double flops(const void *args) { return ((const struct sy_matrices_args *)args)->blocks; }

const struct sy_op_impl sy_op_impl_sum_blocks = {
    .ref = ref, .groups = sy_matrices_groups, .elements = elements, .flops = flops};
