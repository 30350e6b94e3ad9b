// SPDX-License-Identifier: Apache-2.0
// geglu: the cases of ffn_act.h, all activations.
#include "tests/ops/ffn_act.h"

static const struct sy_ffn_act_args cases[] = {FFN_ACT_CASES_PARTS(SY_ACT_GELU_TANH)};

static void fill(const void *args, double *const *values, const uint64_t *counts, struct sy_step *step,
                 struct sy_rng *rng)
{
    (void)step;
    ffn_act_slots(args, values, counts, 1, 2, rng);
    for (uint64_t i = 0; i < counts[0]; ++i) // far out on both sides, where the formula must not overflow
        values[0][i] *= i % 11 == 3 ? 30.0 : 1.0;
}

SY_OP_CASES(geglu, cases, .fill = fill, .left_alone = ffn_act_left_alone, .tolerance_f32 = 2e-6,
            .tolerance_bf16 = 0x1p-7, .reason = "one exp and six products in f32; a bf16 store may flip by one place");
