// SPDX-License-Identifier: Apache-2.0
// clip.c: the factor that clips all gradients to a global norm.
#include "engine/op.h"
#include "kernels/matrices.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_clip_args *a = args;
    double sum = 0.0;
    for (uint64_t i = 0; i < a->n; ++i)
        sum += sy_ld(&t[0], i);
    const double norm = sqrt(sum);
    sy_st(&t[1], 0, a->max_norm > 0.0f && norm > a->max_norm ? a->max_norm / norm : 1.0);
    sy_st(&t[1], 1, norm);
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    assert(((const struct sy_clip_args *)args)->n <= (uint64_t)SY_TREE_SLOTS << SY_TREE_LEVELS);
    (void)args;
    (void)knobs;
    return 1;
}

static uint64_t elements(const void *args, uint32_t i) { return i == 0 ? ((const struct sy_clip_args *)args)->n : 2; }

static double flops(const void *args) { return ((const struct sy_clip_args *)args)->n; }

const struct sy_op_impl sy_op_impl_clip = {.ref = ref, .groups = groups, .elements = elements, .flops = flops};
