// SPDX-License-Identifier: Apache-2.0
// matmul_mma.c: how matmul is launched on NVIDIA's matrix cores.
#include "engine/ops/matmul_ref.h"
#include "engine/variant.h"

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_matmul_args *p = args;
    const uint64_t rows = SY_MMA_ROWS(knobs->wg), across = sy_ceil_div(p->n, SY_MMA_COLS(knobs->wg));
    const uint64_t down = sy_matmul_ragged(p) ? p->tiles * sy_ceil_div(p->tile_rows, rows) : sy_ceil_div(p->m, rows);
    return down * across;
}

const struct sy_variant_impl sy_variant_impl_matmul_mma = {
    .what = "matrix cores by PTX", .groups = groups, .wg = SY_MMA_WG};
