// SPDX-License-Identifier: Apache-2.0
// pack_b.c: cases of pack_b: tails of columns, blocks of 16 and slabs of 64 and 512 rows.
#include "tests/ops.h"

// batch, n, k, pairs
static const struct sy_pack_b_args cases[] = {
    {1, 1, 1, 0},    {1, 33, 17, 0},  {2, 64, 48, 0},   {3, 100, 65, 0},  {1, 31, 530, 0},
    {1, 32, 530, 0}, {1, 32, 512, 0}, {1, 300, 130, 0}, {5, 256, 13, 0},  {2, 17, 1100, 0},
    {1, 1, 1, 1},    {3, 100, 65, 1}, {1, 32, 530, 1},  {2, 64, 1025, 1}, {1, 70, 48, 1},
};

SY_OP_CASES(pack_b, cases, .tolerance_f32 = 0.0, .tolerance_bf16 = 0.0, .reason = "copies bits");
