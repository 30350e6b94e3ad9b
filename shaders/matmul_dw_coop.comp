// SPDX-License-Identifier: Apache-2.0
// matmul_dw_coop: matmul_dw on matrix cores, factors in bf16: matmul_dw_coop.glsl.
#version 450
#include "matmul_dw_coop.glsl"
