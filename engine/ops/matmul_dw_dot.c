// SPDX-License-Identifier: Apache-2.0
// matmul_dw_dot.c: how matmul_dw is launched on AVX-512's products of pairs of bf16.
#include "engine/ops/matmul_panels.h"

const struct sy_variant_impl sy_variant_impl_matmul_dw_dot = {.what = "AVX-512 for bf16",
                                                              .groups = sy_matmul_dw_panel_groups};
