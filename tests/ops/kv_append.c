// SPDX-License-Identifier: Apache-2.0
// kv_append: first and last position, a position beyond the cache (nothing happens), fused and plain key-value rows.
#include "tests/ops.h"

static const struct sy_kv_append_args cases[] = {
    {.batch = 1, .width = 1, .t_max = 1, .src_stride = 1, .src_offset = 0},
    {.batch = 3, .width = 13, .t_max = 5, .src_stride = 13, .src_offset = 0},
    {.batch = 5, .width = 17, .t_max = 9, .src_stride = 60, .src_offset = 20},
    {.batch = 4, .width = 64, .t_max = 8, .src_stride = 192, .src_offset = 64},
    {.batch = 17, .width = 65, .t_max = 6, .src_stride = 130, .src_offset = 65},
    {.batch = 2, .width = 100, .t_max = 3, .src_stride = 100, .src_offset = 0},
};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    const struct sy_kv_append_args *p = args;
    (void)values, (void)counts, (void)rng;
    step->position = p->batch == 2 ? p->t_max : p->batch % 2 == 0 ? 0 : p->t_max - 1;
}

SY_OP_CASES(kv_append, cases, .fill = fill, .tolerance_f32 = 0, .tolerance_bf16 = 0, .reason = "a copy");
