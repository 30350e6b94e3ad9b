// SPDX-License-Identifier: Apache-2.0
// attention_dkv_coop: attention_dkv on matrix cores, factors in bf16: attention_dkv_coop.glsl.
#version 450
#include "attention_dkv_coop.glsl"
