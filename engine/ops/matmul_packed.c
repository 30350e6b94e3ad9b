// SPDX-License-Identifier: Apache-2.0
// matmul_packed.c: matmul with B in the panels pack_b writes.
#include "engine/ops/matmul_ref.h"

static void ref(const void *args, const struct sy_ref_tensor *x) { sy_matmul_ref(args, x, true); }

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_matmul_args *p = args;
    const uint32_t tiles = (uint32_t)sy_matmul_tiles(p), panels = (uint32_t)sy_ceil_div(p->n, SY_PANEL);
    return (uint64_t)tiles * sy_ceil_div(panels, SY_GROUP_PANELS(knobs->wg, tiles, panels));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_matmul_args *p = args;
    switch (i) {
    case 0: return (uint64_t)p->m * p->k;
    case 1: return p->experts * sy_ceil_div(p->n, SY_PANEL) * p->k * SY_PANEL;
    case 2: return p->experts > 1 ? 4 * (uint64_t)p->tiles : 0;
    default: return (uint64_t)p->m * p->n;
    }
}

const struct sy_op_impl sy_op_impl_matmul_packed = {
    .ref = ref, .groups = groups, .elements = elements, .flops = sy_matmul_flops};
