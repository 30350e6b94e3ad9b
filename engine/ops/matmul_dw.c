// SPDX-License-Identifier: Apache-2.0
// matmul_dw.c: w[s][e][m][n] (+)= alpha · Σ_r y[r,m] · x[r,n] over each expert's rows in each slice: the gradient of a
// weight.
#include "engine/ops/matmul_ref.h"

static void ref(const void *args, const struct sy_ref_tensor *x) { sy_matmul_dw_ref(args, x); }

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_matmul_dw_args *p = args;
    assert(p->slices != 0);
    return (uint64_t)p->slices * p->experts * sy_ceil_div(p->m, SY_ITEM * SY_ITEMS_Y(knobs->wg)) *
           sy_ceil_div(p->n, SY_ITEM * SY_ITEMS_X(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_matmul_dw_args *p = args;
    switch (i) {
    case 0: return (uint64_t)p->rows * p->m;
    case 1: return (uint64_t)p->rows * p->n;
    case 2: return p->ragged ? ((uint64_t)p->first + p->experts) * p->slices + 1 : 0;
    default: return (uint64_t)p->slices * p->experts * p->m * p->n;
    }
}

/// As many rows for every expert of every slice.
static void sample(const void *args, uint32_t i, int32_t *out)
{
    const struct sy_matmul_dw_args *p = args;
    const uint64_t count = elements(args, i);
    const uint64_t parts = (uint64_t)(p->of != 0 ? p->of : p->experts) * p->slices;
    for (uint64_t x = 0; x < count; ++x)
        out[x] = (int32_t)(x * p->rows / parts);
}

/// Experts of w, in each slice.
static uint64_t unit(const void *args, uint32_t i, uint64_t *planes)
{
    const struct sy_matmul_dw_args *p = args;
    *planes = p->slices;
    return p->experts > 1 && i == 3 ? (uint64_t)p->m * p->n : 0;
}

static void some(void *args, uint64_t first, uint64_t count)
{
    struct sy_matmul_dw_args *p = args;
    p->of = p->of != 0 ? p->of : p->experts;
    p->first += (u32)first;
    p->experts = (u32)count;
}

static const struct sy_axis axis = {.unit = unit, .some = some};

const struct sy_op_impl sy_op_impl_matmul_dw = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = sy_matmul_dw_flops,
    .settings = SY_SETTINGS({.wg = 32}, {.wg = 64}, {.wg = 128}, {.wg = 256}), // 32 × 64 … 128 × 128 outputs
    .sample = sample,
    .axis = &axis};
