// SPDX-License-Identifier: Apache-2.0
// cast: f32 to the type of activations (a copy when that is f32).
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_cast_args *p = args;
    for (uint64_t i = 0; i < p->n; ++i)
        sy_st(&b[1], i, sy_ld(&b[0], i));
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_cast_args *p = args;
    return sy_ceil_div(p->n, SY_CHUNK(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_cast_args *p = args;
    (void)i;
    return p->n;
}

const struct sy_op_impl sy_op_impl_cast = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = sy_no_flops,
    .epilogue = SY_EPILOGUE_ELEMENT,
    .axis = &sy_axis_elements,
    .settings = SY_SETTINGS({.wg = 128}, {.wg = 256}),
};
