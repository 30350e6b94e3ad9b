// SPDX-License-Identifier: Apache-2.0
// rmsnorm_dw: odd shapes, more parts than rows (empty blocks are zeros), one part, several column tiles.
#include "tests/ops.h"

static const struct sy_rmsnorm_dw_args cases[] = {
    {.rows = 1, .dim = 1, .parts = 1, .slices = 1},     {.rows = 3, .dim = 13, .parts = 5, .slices = 1},
    {.rows = 17, .dim = 17, .parts = 4, .slices = 1},   {.rows = 65, .dim = 65, .parts = 3, .slices = 1},
    {.rows = 33, .dim = 64, .parts = 8, .slices = 1},   {.rows = 100, .dim = 128, .parts = 1, .slices = 1},
    {.rows = 10, .dim = 1030, .parts = 7, .slices = 1}, {.rows = 9, .dim = 100, .parts = 9, .slices = 1},
    {.rows = 4, .dim = 2100, .parts = 2, .slices = 1},  {.rows = 44, .dim = 33, .parts = 3, .slices = 4},
    {.rows = 16, .dim = 1030, .parts = 1, .slices = 8},
};

SY_OP_CASES(rmsnorm_dw, cases, .tolerance_f32 = 2e-6, .tolerance_bf16 = 2e-6,
            .reason = "sums of up to 100 terms in f32 (the parts are f32 in both types)");
