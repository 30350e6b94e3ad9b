// SPDX-License-Identifier: Apache-2.0
// matmul_dw_amx.c: how matmul_dw is launched on the matrix unit of x86 CPUs.
#include "engine/ops/matmul_panels.h"

const struct sy_variant_impl sy_variant_impl_matmul_dw_amx = {.what = "AMX", .groups = sy_matmul_dw_panel_groups};
