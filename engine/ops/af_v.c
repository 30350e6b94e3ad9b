// SPDX-License-Identifier: Apache-2.0
// af_v.c: the full second moment of Adafactor.
#include "engine/ops/matrices.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_matrices_args *a = args;
    const double beta = sy_step_of(&t[4])->beta2;
    for (uint64_t id = a->first; id < (uint64_t)a->first + a->count; ++id) {
        const struct sy_block b = sy_block_of(&t[0], a, id);
        double u2 = 0.0, w2 = 0.0;
        for (uint64_t i = 0; i < b.rows * b.cols; ++i) {
            const double g = sy_af_grad(&t[1], &t[3], b.at + i), w = sy_ld(&t[2], b.at + i);
            const double v = beta * sy_ld(&t[5], b.element + i) + (1.0 - beta) * sy_af_square(g);
            sy_st(&t[5], b.element + i, v);
            u2 += g * g / v;
            w2 += w * w;
        }
        sy_st(&t[6], id, w2);
        sy_st(&t[7], id, u2);
    }
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_matrices_args *a = args;
    switch (i) {
    case 0: return sy_matrices_table(a);
    case 1: return a->elements;
    case 2: return a->elements;
    case 3: return 2;
    case 4: return sizeof(struct sy_step) / 4;
    case 5: return a->full;
    case 6: return a->blocks;
    default: return a->blocks;
    }
}

/// The matrices, not all of their pack.
static uint64_t moved(const void *args, uint32_t i)
{
    return i == 1 || i == 2 ? ((const struct sy_matrices_args *)args)->work : elements(args, i);
}

static double flops(const void *args) { return 10.0 * ((const struct sy_matrices_args *)args)->work; }

const struct sy_op_impl sy_op_impl_af_v = {
    .ref = ref, .groups = sy_matrices_groups, .elements = elements, .moved = moved, .flops = flops};
