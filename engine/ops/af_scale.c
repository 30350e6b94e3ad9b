// SPDX-License-Identifier: Apache-2.0
// af_scale.c: the step size of each matrix in Adafactor.
#include "engine/ops/matrices.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_matrices_args *a = args;
    const double lr = sy_step_of(&t[3])->lr;
    for (uint64_t id = a->first; id < (uint64_t)a->first + a->count; ++id) {
        const struct sy_block m = sy_matrix_of(&t[0], a, id);
        double w2 = 0.0, u2 = 0.0;
        for (uint64_t i = 0; i < sy_ceil_div(m.rows, SY_MATRIX_ROWS); ++i) {
            w2 += sy_ld(&t[1], m.blocks + i);
            u2 += sy_ld(&t[2], m.blocks + i);
        }
        const double n = (double)m.rows * (double)m.cols;
        sy_st(&t[4], id, lr * fmax(sqrt(w2 / n), 1e-3) / fmax(1.0, sqrt(u2 / n)));
    }
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_matrices_args *a = args;
    switch (i) {
    case 0: return sy_matrices_table(a);
    case 1: return a->blocks;
    case 2: return a->blocks;
    case 3: return sizeof(struct sy_step) / 4;
    default: return a->matrices;
    }
}

static double flops(const void *args) { return 2.0 * ((const struct sy_matrices_args *)args)->blocks; }

const struct sy_op_impl sy_op_impl_af_scale = {
    .ref = ref, .groups = sy_matrices_groups, .elements = elements, .flops = flops};
