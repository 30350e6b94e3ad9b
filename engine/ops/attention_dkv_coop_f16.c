// SPDX-License-Identifier: Apache-2.0
// attention_dkv_coop_f16.c: attention_dkv_coop with factors in f16, for tests.
#include "engine/ops/coop_attention.h"

const struct sy_variant_impl sy_variant_impl_attention_dkv_coop_f16 = {.what = "cooperative matrices of f16",
                                                                       .proof = &sy_coop_attention_proof,
                                                                       .suits = sy_coop_attention_suits,
                                                                       .groups = sy_coop_attention_key_groups,
                                                                       .tune = sy_coop_attention_tune_f16,
                                                                       .special = sy_coop_attention_special_f16};
