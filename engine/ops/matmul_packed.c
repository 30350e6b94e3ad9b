// SPDX-License-Identifier: Apache-2.0
// matmul_packed.c: how matmul is launched with B in the panels that pack_b writes, where it is stored [N][K].
#include "engine/ops/matmul_panels.h"

static bool pack(const void *args, void *out)
{
    const struct sy_matmul_args *p = args;
    if (p->bt == 0)
        return false; // its rows are pieces of panels already
    *(struct sy_pack_b_args *)out = (struct sy_pack_b_args){.batch = p->experts, .n = p->n, .k = p->k};
    return true;
}

const struct sy_variant_impl sy_variant_impl_matmul_packed = {.what = "register blocks on packed panels",
                                                              .groups = sy_matmul_panel_groups,
                                                              .before_args = pack,
                                                              .before_binding = 1};
