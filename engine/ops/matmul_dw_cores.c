// SPDX-License-Identifier: Apache-2.0
// matmul_dw_cores.c: how matmul_dw is launched on the matrix cores of Intel's and AMD's GPUs.
#include "engine/ops/matmul_ref.h"
#include "engine/variant.h"

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    const struct sy_matmul_dw_args *p = args;
    return (uint64_t)p->slices * p->experts * sy_ceil_div(p->m, SY_CORES_ROWS) * sy_ceil_div(p->n, SY_CORES_COLS);
}

const struct sy_variant_impl sy_variant_impl_matmul_dw_cores = {
    .what = "matrix cores by the compiler's built-ins", .groups = groups, .wg = SY_CORES_WG};
