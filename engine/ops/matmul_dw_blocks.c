// SPDX-License-Identifier: Apache-2.0
// matmul_dw_blocks.c: how matmul_dw is launched with matmul_packed's register blocks.
#include "engine/ops/matmul_panels.h"

const struct sy_variant_impl sy_variant_impl_matmul_dw_blocks = {.what = "register blocks",
                                                                 .groups = sy_matmul_dw_panel_groups};
