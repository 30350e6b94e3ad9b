// SPDX-License-Identifier: Apache-2.0
// rmsnorm_dw: part[q][d] = Σ dy · x · rstd over row block q of a slice.
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_rmsnorm_dw_args *p = args;
    const uint64_t length = p->rows / p->slices, block = sy_ceil_div(length, p->parts);
    for (uint64_t q = 0; q < (uint64_t)p->slices * p->parts; ++q) {
        const uint64_t end = (q / p->parts + 1) * length, first = end - length + q % p->parts * block;
        for (uint64_t j = 0; j < p->dim; ++j) {
            double sum = 0;
            for (uint64_t row = first; row < first + block && row < end; ++row)
                sum += sy_ld(&b[0], row * p->dim + j) * sy_ld(&b[1], row * p->dim + j) * sy_ld(&b[2], row);
            sy_st(&b[3], q * p->dim + j, sum);
        }
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_rmsnorm_dw_args *p = args;
    assert(p->slices != 0);
    assert(sy_ceil_div(p->rows / p->slices, p->parts) <= SY_BLOCK_ROWS); // see chunk.h
    return (uint64_t)p->slices * p->parts * sy_ceil_div(p->dim, SY_COLS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_rmsnorm_dw_args *p = args;
    const uint64_t all = (uint64_t)p->rows * p->dim;
    const uint64_t counts[] = {all, all, p->rows, (uint64_t)p->slices * p->parts * p->dim};
    return counts[i];
}

static double flops(const void *args)
{
    const struct sy_rmsnorm_dw_args *p = args;
    return 3.0 * p->rows * p->dim;
}

const struct sy_op_impl sy_op_impl_rmsnorm_dw = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
    .settings = SY_SETTINGS({.wg = 16}, {.wg = 32}, {.wg = 128}), // four columns an item
};
