// SPDX-License-Identifier: Apache-2.0
// add: odd counts, exact and exceeded pieces of a work-group.
#include "tests/ops.h"

static const struct sy_add_args cases[] = {
    {.n = 1}, {.n = 13}, {.n = 17}, {.n = 65}, {.n = 100}, {.n = 1024}, {.n = 8192}, {.n = 8193}, {.n = 20011},
};

SY_OP_CASES(add, cases, .tolerance_f32 = 0, .tolerance_bf16 = 0, .reason = "one exact rounding of an exact sum");
