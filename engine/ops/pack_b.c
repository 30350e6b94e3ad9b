// SPDX-License-Identifier: Apache-2.0
// pack_b.c: the transpose of B in zero-padded panels of SY_PANEL columns, for matmul_packed.
#include "engine/op.h"
#include "kernels/tiles.h"

/// Values of k of a panel.
static uint64_t depth(const struct sy_pack_b_args *p) { return p->pairs != 0 ? (p->k + UINT64_C(1)) / 2 * 2 : p->k; }

static void ref(const void *args, const struct sy_ref_tensor *x)
{
    const struct sy_pack_b_args *p = args;
    const uint64_t panels = sy_ceil_div(p->n, SY_PANEL);
    for (uint64_t e = 0; e < p->batch; ++e)
        for (uint64_t q = 0; q < panels; ++q)
            for (uint64_t k = 0; k < depth(p); ++k)
                for (uint64_t j = 0; j < SY_PANEL; ++j) {
                    const uint64_t col = q * SY_PANEL + j, from = (e * p->n + col) * p->k + k;
                    const uint64_t row = (e * panels + q) * depth(p) + k;
                    const uint64_t to = p->pairs != 0 ? (row / 2 * SY_PANEL + j) * 2 + k % 2 : row * SY_PANEL + j;
                    sy_st(&x[1], to, col < p->n && k < p->k ? sy_ld(&x[0], from) : 0.0);
                }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_pack_b_args *p = args;
    return p->batch * sy_ceil_div(p->n, SY_PANEL) * sy_ceil_div(p->k, SY_PACK_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_pack_b_args *p = args;
    return i == 0 ? (uint64_t)p->batch * p->n * p->k : p->batch * sy_ceil_div(p->n, SY_PANEL) * depth(p) * SY_PANEL;
}

const struct sy_op_impl sy_op_impl_pack_b = {.ref = ref, .groups = groups, .elements = elements, .flops = sy_no_flops};
