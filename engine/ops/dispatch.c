// SPDX-License-Identifier: Apache-2.0
// dispatch: xe[s] = x[src[s] / k], zeros where src[s] = −1.
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_dispatch_args *p = args;
    for (uint64_t s = 0; s < p->slots; ++s) {
        const int32_t source = sy_ldi(&b[1], s);
        for (uint64_t i = 0; i < p->dim; ++i)
            sy_st(&b[2], s * p->dim + i, source < 0 ? 0.0 : sy_ld(&b[0], (uint64_t)source / p->k * p->dim + i));
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_dispatch_args *p = args;
    return sy_ceil_div(p->slots, SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_dispatch_args *p = args;
    const uint64_t counts[] = {(uint64_t)p->rows * p->dim, p->slots, (uint64_t)p->slots * p->dim};
    return counts[i];
}

static void sample(const void *args, uint32_t i, int32_t *out)
{
    const struct sy_dispatch_args *p = args;
    sy_sample_rows(out, elements(args, i), (uint64_t)p->rows * p->k);
}

const struct sy_op_impl sy_op_impl_dispatch = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = sy_no_flops,
    .settings = SY_SETTINGS({.wg = 128}, {.wg = 256}),
    .sample = sample,
};
