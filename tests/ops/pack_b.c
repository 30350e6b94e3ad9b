// SPDX-License-Identifier: Apache-2.0
// pack_b.c: cases of pack_b: tails of columns, blocks of 16 and slabs of 64 and 512 rows.
#include "tests/ops.h"

// batch, n, k
static const struct sy_pack_b_args cases[] = {
    {1, 1, 1},    {1, 33, 17},  {2, 64, 48},   {3, 100, 65}, {1, 31, 530},
    {1, 32, 530}, {1, 32, 512}, {1, 300, 130}, {5, 256, 13}, {2, 17, 1100},
};

SY_OP_CASES(pack_b, cases, .tolerance_f32 = 0.0, .tolerance_bf16 = 0.0, .reason = "copies bits");
