// SPDX-License-Identifier: Apache-2.0
// matmul_coop: matmul on matrix cores, factors in bf16: matmul_coop.glsl.
#version 450
#include "matmul_coop.glsl"
