// SPDX-License-Identifier: Apache-2.0
// af_row.c: row statistics of Adafactor and their means.
#include "engine/ops/matrices.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_matrices_args *a = args;
    const double beta = sy_step_of(&t[3])->beta2;
    for (uint64_t id = a->first; id < (uint64_t)a->first + a->count; ++id) {
        const struct sy_block m = sy_matrix_of(&t[0], a, id);
        double sum = 0.0;
        for (uint64_t row = m.row; row < m.row + m.rows; ++row) {
            const double square = sy_ld(&t[1], row) * sy_ld(&t[2], 0) * sy_ld(&t[2], 0) / (double)m.cols + 1e-30;
            const double next = beta * sy_ld(&t[4], row) + (1.0 - beta) * square;
            sy_st(&t[4], row, next);
            sum += next;
        }
        sy_st(&t[5], id, sum / (double)m.rows);
    }
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_matrices_args *a = args;
    switch (i) {
    case 0: return sy_matrices_table(a);
    case 1: return a->rows;
    case 2: return 2;
    case 3: return sizeof(struct sy_step) / 4;
    case 4: return a->rows;
    default: return a->matrices;
    }
}

static double flops(const void *args) { return 8.0 * ((const struct sy_matrices_args *)args)->rows; }

const struct sy_op_impl sy_op_impl_af_row = {
    .ref = ref, .groups = sy_matrices_groups, .elements = elements, .flops = flops};
