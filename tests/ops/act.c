// SPDX-License-Identifier: Apache-2.0
// act: the cases of ffn_act.h, all activations.
#include "tests/ops/ffn_act.h"

static const struct sy_ffn_act_args cases[] = {FFN_ACT_CASES_PARTS(SY_ACT_GELU)};

SY_OP_CASES(act, cases, .fill = ffn_act_fill, .left_alone = ffn_act_left_alone, .tolerance_f32 = 2e-6,
            .tolerance_bf16 = 0x1p-7,
            .reason = "one exp and a dozen products in f32; a bf16 store may flip by one place");
