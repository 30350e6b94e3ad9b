// SPDX-License-Identifier: Apache-2.0
// matmul_dw_packed.c: matmul_dw with x in the panels pack_b writes (batch 1, bt 0, k = all rows).
#include "engine/ops/matmul_ref.h"

static void ref(const void *args, const struct sy_ref_tensor *x) { sy_matmul_dw_ref(args, x, true); }

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_matmul_dw_args *p = args;
    const uint32_t tiles = p->experts * (uint32_t)sy_ceil_div(p->m, SY_TILE_ROWS_CPU);
    const uint32_t panels = (uint32_t)sy_ceil_div(p->n, SY_PANEL);
    return (uint64_t)tiles * sy_ceil_div(panels, SY_GROUP_PANELS(knobs->wg, tiles, panels));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_matmul_dw_args *p = args;
    switch (i) {
    case 0: return (uint64_t)p->rows * p->m;
    case 1: return sy_ceil_div(p->n, SY_PANEL) * p->rows * SY_PANEL;
    case 2: return p->experts > 1 ? (uint64_t)p->experts + 1 : 0;
    default: return (uint64_t)p->experts * p->m * p->n;
    }
}

const struct sy_op_impl sy_op_impl_matmul_dw_packed = {
    .ref = ref, .groups = groups, .elements = elements, .flops = sy_matmul_dw_flops};
