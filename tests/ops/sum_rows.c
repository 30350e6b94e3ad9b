// SPDX-License-Identifier: Apache-2.0
// sum_rows: one column, narrow and wide, few and very many parts, accumulating or not.
#include "tests/ops.h"

static const struct sy_sum_rows_args cases[] = {
    {.parts = 1, .n = 1, .accumulate = 0, .scale = 1.0f, .slices = 1},
    {.parts = 100, .n = 1, .accumulate = 1, .scale = 0.5f, .slices = 1},
    {.parts = 7, .n = 4, .accumulate = 0, .scale = 1.0f, .slices = 1},
    {.parts = 70001, .n = 4, .accumulate = 0, .scale = 1.0f, .slices = 1},
    {.parts = 1000, .n = 15, .accumulate = 1, .scale = -1.0f, .slices = 1},
    {.parts = 3, .n = 16, .accumulate = 0, .scale = 1.0f, .slices = 1},
    {.parts = 65, .n = 17, .accumulate = 1, .scale = 2.0f, .slices = 1},
    {.parts = 13, .n = 65, .accumulate = 0, .scale = 1.0f, .slices = 1},
    {.parts = 40, .n = 100, .accumulate = 1, .scale = 0.25f, .slices = 1},
    {.parts = 70001, .n = 17, .accumulate = 0, .scale = 1.0f, .slices = 1},
    {.parts = 131000, .n = 16, .accumulate = 0, .scale = 1.0f, .slices = 1},
    {.parts = 5, .n = 1024, .accumulate = 0, .scale = 1.0f, .slices = 1},
    {.parts = 4, .n = 1025, .accumulate = 1, .scale = 1.0f, .slices = 1},
    {.parts = 2, .n = 5003, .accumulate = 1, .scale = 1.0f, .slices = 1},
    {.parts = 9, .n = 3, .accumulate = 1, .scale = 1.0f, .slices = 4},
    {.parts = 33, .n = 77, .accumulate = 0, .scale = 0.5f, .slices = 8},
    {.parts = 3, .n = 2050, .accumulate = 1, .scale = 1.0f, .slices = 2},
};

SY_OP_CASES(sum_rows, cases, .tolerance_f32 = 2e-5, .tolerance_bf16 = 2e-5,
            .reason = "sums of up to 131,000 terms of both signs in f32");
