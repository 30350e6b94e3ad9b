// SPDX-License-Identifier: Apache-2.0
// combine_dgate: dgate[row, r] = dy[row] · h[slot[row, r]]; 0 where slot = −1.
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_dispatch_args *p = args;
    for (uint64_t i = 0; i < (uint64_t)p->rows * p->k; ++i) {
        const int32_t slot = sy_ldi(&b[2], i);
        double sum = 0;
        for (uint64_t j = 0; slot >= 0 && j < p->dim; ++j)
            sum += sy_ld(&b[0], i / p->k * p->dim + j) * sy_ld(&b[1], (uint64_t)slot * p->dim + j);
        sy_st(&b[3], i, sum);
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_dispatch_args *p = args;
    return sy_ceil_div((uint64_t)p->rows * p->k, SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_dispatch_args *p = args;
    const uint64_t places = (uint64_t)p->rows * p->k;
    const uint64_t counts[] = {(uint64_t)p->rows * p->dim, (uint64_t)p->slots * p->dim, places, places};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_dispatch_args *p = args;
    return 2.0 * p->slots * p->dim;
}

const struct sy_op_impl sy_op_impl_combine_dgate = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
};
