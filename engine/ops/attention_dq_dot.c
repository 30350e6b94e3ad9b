// SPDX-License-Identifier: Apache-2.0
// attention_dq_dot.c: attention_dq on AVX-512's products of pairs of bf16, launched as the op's own kernel is.
#include "engine/ops/attention.h"
#include "engine/variant.h"

const struct sy_variant_impl sy_variant_impl_attention_dq_dot = {.what = "AVX-512 for bf16",
                                                                 .suits = sy_attention_pairs_pay};
