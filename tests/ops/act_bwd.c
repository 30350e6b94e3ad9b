// SPDX-License-Identifier: Apache-2.0
// act_bwd: the cases of ffn_act.h, all activations.
#include "tests/ops/ffn_act.h"

static const struct sy_ffn_act_args cases[] = {FFN_ACT_CASES(SY_ACT_GELU)};

SY_OP_CASES(act_bwd, cases, .fill = ffn_act_fill_bwd, .tolerance_f32 = 4e-6, .tolerance_bf16 = 0x1p-7,
            .reason = "two exps and a dozen products in f32; a bf16 store may flip by one place");
