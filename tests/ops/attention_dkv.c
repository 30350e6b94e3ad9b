// SPDX-License-Identifier: Apache-2.0
// attention_dkv.c (tests): gradients of k and v; all other columns of dkv must keep their value.
#include "tests/ops/attention.h"

static const struct sy_attention_args cases[] = {ATT_CASES};

SY_OP_CASES(attention_dkv, cases, .fill = att_fill_backward, .tolerance_f32 = 4e-6, .tolerance_bf16 = 0x1p-8,
            .reason = "f32 sums over dim and query rows of differences dp − delta; bf16: one rounding of dk and dv");
