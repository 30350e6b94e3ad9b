// SPDX-License-Identifier: Apache-2.0
// matmul.c: c[m,n] = alpha · Σ_k a[m,k] · B_e[k,n] (+ c), dense or ragged over experts.
#include "engine/ops/matmul_ref.h"

static void ref(const void *args, const struct sy_ref_tensor *x) { sy_matmul_ref(args, x); }

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_matmul_args *p = args;
    return sy_matmul_tiles(p) * sy_ceil_div(p->n, SY_ITEM * SY_ITEMS_X(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_matmul_args *p = args;
    switch (i) {
    case 0: return (uint64_t)p->m * p->k;
    case 1: return (uint64_t)p->experts * p->n * p->k;
    case 2: return p->experts > 1 ? 4 * (uint64_t)p->tiles : 0;
    default: return (uint64_t)p->m * p->n;
    }
}

const struct sy_op_impl sy_op_impl_matmul = {
    .ref = ref, .groups = groups, .elements = elements, .flops = sy_matmul_flops};
