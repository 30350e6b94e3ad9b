// SPDX-License-Identifier: Apache-2.0
// tree_sum: copies, pairs, fours and eights, several sums at once, exact and exceeded pieces of a work-group.
#include "tests/ops.h"

static const struct sy_tree_sum_args cases[] = {
    {.n = 1, .slices = 1, .outer = 1},
    {.n = 13, .slices = 1, .outer = 1, .accumulate = 1},
    {.n = 17, .slices = 2, .outer = 3},
    {.n = 65, .slices = 4, .outer = 2, .accumulate = 1},
    {.n = 100, .slices = 8, .outer = 1},
    {.n = 1024, .slices = 8, .outer = 4, .accumulate = 1},
    {.n = 8193, .slices = 2, .outer = 1},
    {.n = 20011, .slices = 4, .outer = 1, .accumulate = 1},
    {.n = 8192, .slices = 1, .outer = 2, .accumulate = 1},
};

SY_OP_CASES(tree_sum, cases, .tolerance_f32 = 1e-6, .tolerance_bf16 = 1e-6, .reason = "at most nine roundings in f32");
