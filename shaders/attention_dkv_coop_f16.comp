// SPDX-License-Identifier: Apache-2.0
// attention_dkv_coop_f16: attention_dkv_coop with its factors in f16, for tests of drivers without bf16 products.
#version 450
#define HALF
#include "attention_dkv_coop.glsl"
