// SPDX-License-Identifier: Apache-2.0
// af_col.c: column statistics of Adafactor.
#include "engine/ops/matrices.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_matrices_args *a = args;
    const double beta = sy_step_of(&t[3])->beta2;
    for (uint64_t id = a->first; id < (uint64_t)a->first + a->count; ++id) {
        const uint32_t entry = sy_matrix_row(&t[0], a, SY_MATRIX_STRIP_0, id);
        const uint64_t number = id - sy_matrix_field(&t[0], entry, SY_MATRIX_STRIP_0);
        const uint64_t strips = sy_ceil_div(sy_matrix_field(&t[0], entry, SY_MATRIX_WIDTH), SY_MATRIX_STRIP);
        const struct sy_block m = sy_matrix_part(&t[0], entry, number / strips, 0, UINT64_MAX);
        const uint64_t first = number % strips * SY_MATRIX_STRIP, end = first + SY_MATRIX_STRIP;
        for (uint64_t j = first; j < (end < m.cols ? end : m.cols); ++j) {
            double sum = 0.0;
            for (uint64_t block = 0; block < sy_ceil_div(m.rows, SY_MATRIX_ROWS); ++block)
                sum += sy_ld(&t[1], m.part - a->part_base + block * m.cols + j);
            const double square = sum * sy_ld(&t[2], 0) * sy_ld(&t[2], 0) / (double)m.rows + 1e-30;
            sy_st(&t[4], m.col + j, beta * sy_ld(&t[4], m.col + j) + (1.0 - beta) * square);
        }
    }
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_matrices_args *a = args;
    switch (i) {
    case 0: return sy_matrices_table(a);
    case 1: return a->parts;
    case 2: return 2;
    case 3: return sizeof(struct sy_step) / 4;
    default: return a->cols;
    }
}

static double flops(const void *args) { return ((const struct sy_matrices_args *)args)->parts; }

const struct sy_op_impl sy_op_impl_af_col = {
    .ref = ref, .groups = sy_matrices_groups, .elements = elements, .flops = flops};
