// SPDX-License-Identifier: Apache-2.0
// matmul_panels.h: how the products of CPUs are launched: a row tile and a few panels to a group. Layer: engine,
// private to engine/ops.
#pragma once

#include "engine/ops/matmul_ref.h"
#include "engine/variant.h"

static inline uint64_t sy_matmul_panel_groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_matmul_args *p = args;
    const uint32_t tiles = (uint32_t)sy_matmul_tiles(p), panels = (uint32_t)sy_ceil_div(p->n, SY_PANEL);
    (void)knobs;
    return (uint64_t)tiles * sy_ceil_div(panels, SY_GROUP_PANELS(tiles, panels));
}

static inline uint64_t sy_matmul_dw_panel_groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_matmul_dw_args *p = args;
    assert(p->slices != 0);
    const uint32_t tiles = p->slices * p->experts * (uint32_t)sy_ceil_div(p->m, SY_TILE_ROWS_CPU);
    const uint32_t panels = (uint32_t)sy_ceil_div(p->n, SY_PANEL);
    (void)knobs;
    return (uint64_t)tiles * sy_ceil_div(panels, SY_GROUP_PANELS(tiles, panels));
}
