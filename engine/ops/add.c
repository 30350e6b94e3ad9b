// SPDX-License-Identifier: Apache-2.0
// add: sum of two tensors of one shape.
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_add_args *p = args;
    for (uint64_t i = 0; i < p->n; ++i)
        sy_st(&b[2], i, sy_ld(&b[0], i) + sy_ld(&b[1], i));
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_add_args *p = args;
    return sy_ceil_div(p->n, SY_CHUNK(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_add_args *p = args;
    (void)i;
    return p->n;
}

static double flops(const void *args)
{
    const struct sy_add_args *p = args;
    return p->n;
}

const struct sy_op_impl sy_op_impl_add = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = flops,
    .epilogue = SY_EPILOGUE_ELEMENT,
    .axis = &sy_axis_elements,
    .settings = SY_SETTINGS({.wg = 128}, {.wg = 256}),
};
