// SPDX-License-Identifier: Apache-2.0
// sumsq.c: block sums of squares, for the global gradient norm.
#include "engine/op.h"

static void ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_sumsq_args *a = args;
    const uint64_t size = sy_ceil_div(a->n, a->parts);
    for (uint64_t block = 0; block < a->parts; ++block) {
        double sum = 0.0;
        for (uint64_t i = block * size; i < (block + 1) * size && i < a->n; ++i)
            sum += sy_ld(&t[0], i) * sy_ld(&t[0], i);
        sy_st(&t[1], block, sum);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    return ((const struct sy_sumsq_args *)args)->parts;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_sumsq_args *a = args;
    return i == 0 ? a->n : a->parts;
}

static double flops(const void *args) { return 2.0 * ((const struct sy_sumsq_args *)args)->n; }

const struct sy_op_impl sy_op_impl_sumsq = {
    .ref = ref, .groups = groups, .elements = elements, .flops = flops, .wg_simt = 256};
