// SPDX-License-Identifier: Apache-2.0
// fill: one element, odd counts, exact and exceeded pieces of a work-group.
#include "tests/ops.h"

static const struct sy_fill_args cases[] = {
    {.n = 1, .value = 0.0f},    {.n = 13, .value = -1.5f},   {.n = 65, .value = 1e-30f},
    {.n = 1024, .value = 3.0f}, {.n = 8192, .value = -0.0f}, {.n = 20011, .value = 0.1f},
};

SY_OP_CASES(fill, cases, .tolerance_f32 = 0, .tolerance_bf16 = 0, .reason = "a copied value");
