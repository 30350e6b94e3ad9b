// SPDX-License-Identifier: Apache-2.0
// bias_expand: one head and many, odd spans, fewer positions than buckets.
#include "tests/ops.h"

static const struct sy_bias_args cases[] = {
    {.heads = 1, .span = 1, .buckets = 1, .accumulate = 0},
    {.heads = 3, .span = 13, .buckets = 4, .accumulate = 0},
    {.heads = 4, .span = 31, .buckets = 32, .accumulate = 0},
    {.heads = 12, .span = 65, .buckets = 32, .accumulate = 0},
    {.heads = 5, .span = 129, .buckets = 32, .accumulate = 0},
    {.heads = 2, .span = 1023, .buckets = 32, .accumulate = 0},
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

SY_OP_CASES(bias_expand, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0, .reason = "a copy");
