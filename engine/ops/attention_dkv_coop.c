// SPDX-License-Identifier: Apache-2.0
// attention_dkv_coop.c: how attention_dkv is launched on matrix cores through Vulkan.
#include "engine/ops/coop_attention.h"

const struct sy_variant_impl sy_variant_impl_attention_dkv_coop = {.what = "cooperative matrices of bf16",
                                                                   .proof = &sy_coop_attention_proof,
                                                                   .suits = sy_coop_attention_suits,
                                                                   .groups = sy_coop_attention_key_groups,
                                                                   .tune = sy_coop_attention_tune_bf16,
                                                                   .special = sy_coop_attention_special_bf16};
