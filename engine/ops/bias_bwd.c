// SPDX-License-Identifier: Apache-2.0
// bias_bwd: dbias[bucket][h] (+)= Σ drel[h][d] over all d in the bucket.
#include "engine/op.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_bias_args *p = args;
    for (uint64_t bucket = 0; bucket < p->buckets; ++bucket) {
        for (uint64_t h = 0; h < p->heads; ++h) {
            double sum = 0;
            for (uint64_t d = 0; d < p->span; ++d)
                sum += sy_ldi(&b[1], d) == (int32_t)bucket ? sy_ld(&b[0], h * p->span + d) : 0.0;
            const uint64_t at = bucket * p->heads + h;
            sy_st(&b[2], at, p->accumulate ? sy_ld(&b[2], at) + sum : sum);
        }
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    const struct sy_bias_args *p = args;
    return (uint64_t)p->buckets * p->heads;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_bias_args *p = args;
    const uint64_t counts[] = {(uint64_t)p->heads * p->span, p->span, (uint64_t)p->buckets * p->heads};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_bias_args *p = args;
    return (double)p->buckets * p->heads * p->span;
}

const struct sy_op_impl sy_op_impl_bias_bwd = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
};
