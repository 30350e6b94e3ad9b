// SPDX-License-Identifier: Apache-2.0
// copy: one element, whole matrices, blocks out of the middle and into it; what lies around the block stays.
#include "tests/ops.h"

static const struct sy_copy_args cases[] = {
    {.rows = 1, .cols = 1, .from_stride = 1, .to_stride = 1},
    {.rows = 3, .cols = 13, .from_stride = 13, .to_stride = 13},
    {.rows = 5, .cols = 17, .from_stride = 60, .from_at = 20, .to_stride = 17},
    {.rows = 33, .cols = 64, .from_stride = 64, .to_stride = 192, .to_at = 64},
    {.rows = 18, .cols = 65, .from_stride = 130, .from_at = 65, .to_stride = 99, .to_at = 7},
    {.rows = 2, .cols = 2100, .from_stride = 3000, .from_at = 900, .to_stride = 2500, .to_at = 1},
};

SY_OP_CASES(copy, cases, .tolerance_f32 = 0, .tolerance_bf16 = 0, .reason = "a copy");
