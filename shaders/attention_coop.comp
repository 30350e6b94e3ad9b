// SPDX-License-Identifier: Apache-2.0
// attention_coop: attention on matrix cores, factors in bf16: attention_coop.glsl.
#version 450
#include "attention_coop.glsl"
