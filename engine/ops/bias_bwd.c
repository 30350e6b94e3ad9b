// SPDX-License-Identifier: Apache-2.0
// bias_bwd: dbias[s][bucket][h] (+)= Σ drel[s][h][d] over all d in the bucket.
#include "engine/op.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_bias_args *p = args;
    for (uint64_t plane = 0; plane < (uint64_t)p->slices * p->buckets; ++plane) {
        const uint64_t slice = plane / p->buckets, bucket = plane % p->buckets;
        for (uint64_t h = 0; h < p->heads; ++h) {
            double sum = 0;
            for (uint64_t d = 0; d < p->span; ++d)
                sum += sy_ldi(&b[1], d) == (int32_t)bucket ? sy_ld(&b[0], (slice * p->heads + h) * p->span + d) : 0.0;
            const uint64_t at = plane * p->heads + h;
            sy_st(&b[2], at, p->accumulate ? sy_ld(&b[2], at) + sum : sum);
        }
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    const struct sy_bias_args *p = args;
    assert(p->slices != 0);
    return (uint64_t)p->slices * p->buckets * p->heads;
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_bias_args *p = args;
    const uint64_t counts[] = {(uint64_t)p->slices * p->heads * p->span, p->span,
                               (uint64_t)p->slices * p->buckets * p->heads};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_bias_args *p = args;
    return (double)p->slices * p->buckets * p->heads * p->span;
}

const struct sy_op_impl sy_op_impl_bias_bwd = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
};
