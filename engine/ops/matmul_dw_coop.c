// SPDX-License-Identifier: Apache-2.0
// matmul_dw_coop.c: how matmul_dw is launched on matrix cores through Vulkan.
#include "engine/ops/matmul_dw_coop.h"

const struct sy_variant_impl sy_variant_impl_matmul_dw_coop = {.what = "cooperative matrices of bf16",
                                                               .groups = sy_matmul_dw_coop_groups,
                                                               .tune = sy_coop_tune_bf16,
                                                               .special = sy_coop_special_bf16};
