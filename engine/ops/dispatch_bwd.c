// SPDX-License-Identifier: Apache-2.0
// dispatch_bwd: dx[row] = Σ_r dxe[slot[row, r]] over slots ≥ 0.
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_dispatch_args *p = args;
    for (uint64_t row = 0; row < p->rows; ++row) {
        for (uint64_t i = 0; i < p->dim; ++i) {
            double sum = 0;
            for (uint64_t r = 0; r < p->k; ++r) {
                const int32_t slot = sy_ldi(&b[1], row * p->k + r);
                if (slot >= 0)
                    sum += sy_ld(&b[0], (uint64_t)slot * p->dim + i);
            }
            sy_st(&b[2], row * p->dim + i, sum);
        }
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_dispatch_args *p = args;
    return sy_ceil_div(p->rows, SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_dispatch_args *p = args;
    const uint64_t counts[] = {(uint64_t)p->slots * p->dim, (uint64_t)p->rows * p->k, (uint64_t)p->rows * p->dim};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_dispatch_args *p = args;
    return (double)p->slots * p->dim;
}

static void sample(const void *args, uint32_t i, int32_t *out)
{
    const struct sy_dispatch_args *p = args;
    sy_sample_rows(out, elements(args, i), p->slots);
}

const struct sy_op_impl sy_op_impl_dispatch_bwd = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
    .settings = SY_SETTINGS({.wg = 128}, {.wg = 256}),
    .sample = sample,
};
