// SPDX-License-Identifier: Apache-2.0
// matmul_dw_coop_f16.c: matmul_dw_coop with factors in f16, for tests.
#include "engine/ops/matmul_dw_coop.h"

const struct sy_variant_impl sy_variant_impl_matmul_dw_coop_f16 = {.what = "cooperative matrices of f16",
                                                                   .groups = sy_matmul_dw_coop_groups,
                                                                   .tune = sy_coop_tune_f16,
                                                                   .special = sy_coop_special_f16};
