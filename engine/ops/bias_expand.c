// SPDX-License-Identifier: Apache-2.0
// bias_expand: rel[h][d] = bias[bucket[d]][h].
#include "engine/op.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_bias_args *p = args;
    for (uint64_t h = 0; h < p->heads; ++h) {
        for (uint64_t d = 0; d < p->span; ++d) {
            const uint32_t bucket = (uint32_t)sy_ldi(&b[1], d);
            const uint64_t row = bucket < p->buckets ? bucket : p->buckets - 1; // clamped as in the kernels
            sy_st(&b[2], h * p->span + d, sy_ld(&b[0], row * p->heads + h));
        }
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    const struct sy_bias_args *p = args;
    return p->heads;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_bias_args *p = args;
    const uint64_t counts[] = {(uint64_t)p->buckets * p->heads, p->span, (uint64_t)p->heads * p->span};
    return counts[i];
}

const struct sy_op_impl sy_op_impl_bias_expand = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = sy_no_flops,
};
