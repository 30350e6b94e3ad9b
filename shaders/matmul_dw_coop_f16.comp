// SPDX-License-Identifier: Apache-2.0
// matmul_dw_coop_f16: matmul_dw_coop with its factors in f16, for tests of drivers without bf16 products.
#version 450
#define HALF
#include "matmul_dw_coop.glsl"
