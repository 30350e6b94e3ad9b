// SPDX-License-Identifier: Apache-2.0
// relu: the cases of ffn_act.h, whose activation it does not look at.
#include "tests/ops/ffn_act.h"

static const struct sy_ffn_act_args cases[] = {FFN_ACT_CASES_PARTS(SY_ACT_GELU_TANH)};

SY_OP_CASES(relu, cases, .fill = ffn_act_fill, .left_alone = ffn_act_left_alone, .tolerance_f32 = 0,
            .tolerance_bf16 = 0, .reason = "the mask is exact and a product rounds once");
