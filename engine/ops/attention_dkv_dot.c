// SPDX-License-Identifier: Apache-2.0
// attention_dkv_dot.c: attention_dkv on AVX-512's products of pairs of bf16: one work-group does both dk and dv of its
// keys.
#include "engine/ops/attention.h"
#include "engine/variant.h"

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_attention_args *p = args;
    (void)knobs;
    return sy_attention_groups(p, p->tk);
}

const struct sy_variant_impl sy_variant_impl_attention_dkv_dot = {
    .what = "AVX-512 for bf16", .groups = groups, .suits = sy_attention_pairs_pay};
