// SPDX-License-Identifier: Apache-2.0
// matmul_dot_few.c: how matmul is launched on AVX-512's products of pairs of bf16 with pairs of B that each row tile
// makes for itself, where B is stored [N][K].
#include "engine/ops/matmul_panels.h"

static bool suits(const void *args) { return ((const struct sy_matmul_args *)args)->bt != 0; }

const struct sy_variant_impl sy_variant_impl_matmul_dot_few = {
    .what = "AVX-512 for bf16, for weights that meet few rows", .suits = suits, .groups = sy_matmul_panel_groups};
