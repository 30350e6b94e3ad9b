// SPDX-License-Identifier: Apache-2.0
// Cases of sumsq.
#include "tests/ops.h"

// n, parts: single, odd, blocks of one, empty last blocks, more than one chunk of every work-group size.
static const struct sy_sumsq_args cases[] = {{1, 1},  {13, 1},   {17, 4},   {100, 7},   {65, 65},
                                             {10, 7}, {4096, 3}, {8193, 1}, {70001, 2}, {100003, 5}};

SY_OP_CASES(sumsq, cases, .tolerance_f32 = 4e-6,
            .reason = "sums of up to 35,001 positive terms in lanes of at most 512, added up in chunks");
