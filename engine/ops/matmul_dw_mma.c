// SPDX-License-Identifier: Apache-2.0
// matmul_dw_mma.c: how matmul_dw is launched on NVIDIA's matrix cores.
#include "engine/ops/matmul_ref.h"
#include "engine/variant.h"

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_matmul_dw_args *p = args;
    return (uint64_t)p->slices * p->experts * sy_ceil_div(p->m, SY_MMA_ROWS(knobs->wg)) *
           sy_ceil_div(p->n, SY_MMA_COLS(knobs->wg));
}

const struct sy_variant_impl sy_variant_impl_matmul_dw_mma = {
    .what = "matrix cores by PTX", .groups = groups, .wg = SY_MMA_WG};
