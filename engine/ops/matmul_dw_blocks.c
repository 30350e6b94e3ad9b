// SPDX-License-Identifier: Apache-2.0
// matmul_dw_blocks.c: how matmul_dw is launched with matmul_packed's register blocks.
#include "engine/ops/matmul_ref.h"
#include "engine/variant.h"

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_matmul_dw_args *p = args;
    assert(p->slices != 0);
    const uint32_t tiles = p->slices * p->experts * (uint32_t)sy_ceil_div(p->m, SY_TILE_ROWS_CPU);
    const uint32_t panels = (uint32_t)sy_ceil_div(p->n, SY_PANEL);
    (void)knobs;
    return (uint64_t)tiles * sy_ceil_div(panels, SY_GROUP_PANELS(tiles, panels));
}

const struct sy_variant_impl sy_variant_impl_matmul_dw_blocks = {.what = "register blocks", .groups = groups};
