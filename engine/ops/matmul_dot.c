// SPDX-License-Identifier: Apache-2.0
// matmul_dot.c: how matmul is launched on AVX-512's products of pairs of bf16, with B in pairs that pack_b writes.
#include "engine/ops/matmul_panels.h"

static bool pack(const void *args, void *out)
{
    const struct sy_matmul_args *p = args;
    if (p->bt == 0)
        return false; // the kernel pairs its rows itself
    *(struct sy_pack_b_args *)out = (struct sy_pack_b_args){.batch = p->experts, .n = p->n, .k = p->k, .pairs = 1};
    return true;
}

const struct sy_variant_impl sy_variant_impl_matmul_dot = {
    .what = "AVX-512 for bf16", .groups = sy_matmul_panel_groups, .before_args = pack, .before_binding = 1};
