// SPDX-License-Identifier: Apache-2.0
// matmul_few.c: how matmul is launched with panels of B that each row tile makes for itself, where it is stored [N][K].
#include "engine/ops/matmul_panels.h"

static bool suits(const void *args) { return ((const struct sy_matmul_args *)args)->bt != 0; }

const struct sy_variant_impl sy_variant_impl_matmul_few = {
    .what = "register blocks, for weights that meet few rows", .suits = suits, .groups = sy_matmul_panel_groups};
