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
    case 2: return sy_matmul_ragged(p) ? 4 * (uint64_t)p->tiles : 0;
    default: return (uint64_t)p->m * p->n;
    }
}

/// Experts of b; of one matrix rows of a and c.
static uint64_t unit(const void *args, uint32_t i, uint64_t *planes)
{
    const struct sy_matmul_args *p = args;
    (void)planes;
    if (sy_matmul_ragged(p))
        return i == 1 ? (uint64_t)p->n * p->k : 0;
    return i == 0 ? p->k : i == 3 ? p->n : 0;
}

static void some(void *args, uint64_t first, uint64_t count)
{
    struct sy_matmul_args *p = args;
    if (sy_matmul_ragged(p)) {
        p->of = p->of != 0 ? p->of : p->experts;
        p->first += (u32)first;
        p->experts = (u32)count;
    } else {
        p->m = (u32)count;
        p->tiles = (u32)sy_ceil_div(count, p->tile_rows);
    }
}

/// Row tiles of as many rows for every expert.
static void sample(const void *args, uint32_t i, int32_t *out)
{
    const struct sy_matmul_args *p = args;
    const uint32_t experts = p->of != 0 ? p->of : p->experts, each = (uint32_t)sy_ceil_div(p->m, experts);
    uint32_t count = 0;
    (void)i;
    for (uint32_t e = 0; e < experts; ++e) {
        const uint32_t end = (e + 1) * each < p->m ? (e + 1) * each : p->m;
        for (uint32_t row = e * each; row < end && count < p->tiles; row += p->tile_rows, ++count) {
            const uint32_t last = row + p->tile_rows < end ? row + p->tile_rows : end;
            memcpy(out + 4 * count, (const int32_t[]){(int32_t)e, (int32_t)row, (int32_t)last, 0}, 4 * sizeof *out);
        }
    }
    for (; count < p->tiles; ++count) // no rows
        memset(out + 4 * count, 0, 4 * sizeof *out);
}

static const struct sy_axis axis = {.unit = unit, .some = some};

const struct sy_op_impl sy_op_impl_matmul = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = sy_matmul_flops,
    .settings = SY_SETTINGS({.wg = 32}, {.wg = 64}, {.wg = 128}, {.wg = 256}), // 32 × 64 … 128 × 128 outputs
    .sample = sample,
    .axis = &axis};
