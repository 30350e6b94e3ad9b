// SPDX-License-Identifier: Apache-2.0
// matmul_cores.c: how matmul is launched on the matrix cores of Intel's and AMD's GPUs.
#include "engine/ops/matmul_ref.h"
#include "engine/variant.h"

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    const struct sy_matmul_args *p = args;
    const uint64_t rows = SY_CORES_ROWS, across = sy_ceil_div(p->n, SY_CORES_COLS);
    const uint64_t down = sy_matmul_ragged(p) ? p->tiles * sy_ceil_div(p->tile_rows, rows) : sy_ceil_div(p->m, rows);
    return down * across;
}

const struct sy_variant_impl sy_variant_impl_matmul_cores = {
    .what = "matrix cores by the compiler's built-ins", .groups = groups, .wg = SY_CORES_WG};
