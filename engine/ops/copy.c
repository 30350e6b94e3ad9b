// SPDX-License-Identifier: Apache-2.0
// copy: a block of a matrix to a place in another.
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_copy_args *p = args;
    for (uint64_t row = 0; row < p->rows; ++row)
        for (uint64_t j = 0; j < p->cols; ++j)
            sy_st(&b[1], row * p->to_stride + p->to_at + j, sy_ld(&b[0], row * p->from_stride + p->from_at + j));
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_copy_args *p = args;
    return sy_ceil_div(p->rows, SY_ROWS(knobs->wg)) * sy_ceil_div(p->cols, SY_CHUNK(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_copy_args *p = args;
    const uint64_t stride = i == 0 ? p->from_stride : p->to_stride, at = i == 0 ? p->from_at : p->to_at;
    return p->rows == 0 ? 0 : (p->rows - 1) * stride + at + p->cols;
}

static uint64_t moved(const void *args, uint32_t i)
{
    const struct sy_copy_args *p = args;
    (void)i;
    return (uint64_t)p->rows * p->cols;
}

const struct sy_op_impl sy_op_impl_copy = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .moved = moved,
    .only_written = 1u << 1,
    .flops = sy_no_flops,
};
