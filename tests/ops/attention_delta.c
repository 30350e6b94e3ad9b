// SPDX-License-Identifier: Apache-2.0
// attention_delta.c (tests): pairs per work-group exceeded, odd dims, more rows than heads and the reverse.
#include "tests/ops/attention.h"

static const struct sy_attention_args cases[] = {ATT_CASES, {ATT_SELF(2, 65, 3, 4)}, {ATT_SELF(5, 1, 29, 33)}};

SY_OP_CASES(attention_delta, cases, .tolerance_f32 = 2e-6, .tolerance_bf16 = 2e-6,
            .reason = "f32 sums over dim; the result is f32 for every element type");
