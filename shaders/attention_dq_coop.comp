// SPDX-License-Identifier: Apache-2.0
// attention_dq_coop: attention_dq on matrix cores, factors in bf16: attention_dq_coop.glsl.
#version 450
#include "attention_dq_coop.glsl"
