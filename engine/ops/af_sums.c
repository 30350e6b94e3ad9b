// SPDX-License-Identifier: Apache-2.0
// af_sums.c: sums over gradients and weights by rows, columns and blocks, for Adafactor.
#include "engine/ops/matrices.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_matrices_args *a = args;
    for (uint64_t id = a->first; id < (uint64_t)a->first + a->count; ++id) {
        const struct sy_block b = sy_block_of(&t[0], a, id);
        double g2 = 0.0, w2 = 0.0;
        for (uint64_t row = 0; row < b.rows; ++row) {
            double sum = 0.0;
            for (uint64_t i = b.at + row * b.cols; i < b.at + (row + 1) * b.cols; ++i) {
                sum += sy_ld(&t[1], i) * sy_ld(&t[1], i);
                w2 += sy_ld(&t[2], i) * sy_ld(&t[2], i);
            }
            sy_st(&t[3], b.row + row, sum);
            g2 += sum;
        }
        for (uint64_t j = 0; j < b.cols; ++j) {
            double sum = 0.0;
            for (uint64_t row = 0; row < b.rows; ++row)
                sum += sy_ld(&t[1], b.at + row * b.cols + j) * sy_ld(&t[1], b.at + row * b.cols + j);
            sy_st(&t[4], b.part + j, sum);
        }
        sy_st(&t[5], id, w2);
        sy_st(&t[6], id, g2);
    }
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_matrices_args *a = args;
    switch (i) {
    case 0: return sy_matrices_table(a);
    case 1: return a->elements;
    case 2: return a->elements;
    case 3: return a->rows;
    case 4: return a->parts;
    case 5: return a->blocks;
    default: return a->blocks;
    }
}

/// The matrices, not all of their pack.
static uint64_t moved(const void *args, uint32_t i)
{
    return i == 1 || i == 2 ? ((const struct sy_matrices_args *)args)->work : elements(args, i);
}

static double flops(const void *args) { return 5.0 * ((const struct sy_matrices_args *)args)->work; }

const struct sy_op_impl sy_op_impl_af_sums = {
    .ref = ref, .groups = sy_matrices_groups, .elements = elements, .moved = moved, .flops = flops};
