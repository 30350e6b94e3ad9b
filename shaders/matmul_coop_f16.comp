// SPDX-License-Identifier: Apache-2.0
// matmul_coop_f16: matmul_coop with its factors in f16, for tests of drivers without bf16 products.
#version 450
#define HALF
#include "matmul_coop.glsl"
