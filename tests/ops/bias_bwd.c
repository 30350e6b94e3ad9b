// SPDX-License-Identifier: Apache-2.0
// bias_bwd: one head and many, odd spans, empty buckets, accumulating or not.
#include "tests/ops.h"

static const struct sy_bias_args cases[] = {
    {.heads = 1, .span = 1, .buckets = 1, .accumulate = 0, .slices = 1},
    {.heads = 3, .span = 13, .buckets = 4, .accumulate = 1, .slices = 1},
    {.heads = 4, .span = 31, .buckets = 32, .accumulate = 0, .slices = 1},
    {.heads = 12, .span = 65, .buckets = 32, .accumulate = 1, .slices = 1},
    {.heads = 5, .span = 129, .buckets = 32, .accumulate = 0, .slices = 1},
    {.heads = 2, .span = 1023, .buckets = 32, .accumulate = 1, .slices = 1},
    {.heads = 3, .span = 63, .buckets = 8, .accumulate = 1, .slices = 4},
};

// Runs of one bucket, as relative positions give them; bucket 1 stays empty.
static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_bias_args *p = args;
    (void)step, (void)rng;
    for (uint64_t d = 0; d < counts[1]; ++d) {
        const uint64_t bucket = d / 3 % p->buckets;
        values[1][d] = (double)(bucket == 1 ? p->buckets - 1 : bucket);
    }
}

SY_OP_CASES(bias_bwd, cases, .fill = fill, .tolerance_f32 = 2e-6, .tolerance_bf16 = 2e-6,
            .reason = "sums of up to 1,023 terms in f32");
