// SPDX-License-Identifier: Apache-2.0
// kv_append: writes one position of every sequence into the decoding cache.
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_kv_append_args *p = args;
    const uint64_t position = sy_step_of(&b[1])->position;
    for (uint64_t s = 0; s < p->batch && position < p->t_max; ++s) {
        for (uint64_t j = 0; j < p->width; ++j)
            sy_st(&b[2], (s * p->t_max + position) * p->width + j, sy_ld(&b[0], s * p->src_stride + p->src_offset + j));
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_kv_append_args *p = args;
    return sy_ceil_div(p->batch, SY_ROWS(knobs->wg));
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_kv_append_args *p = args;
    const uint64_t kv = p->batch == 0 ? 0 : (uint64_t)(p->batch - 1) * p->src_stride + p->src_offset + p->width;
    const uint64_t counts[] = {kv, sizeof(struct sy_step) / 4, (uint64_t)p->batch * p->t_max * p->width};
    return counts[i];
}

static uint64_t moved(const void *args, uint32_t i)
{
    const struct sy_kv_append_args *p = args;
    return i == 1 ? elements(args, i) : (uint64_t)p->batch * p->width; // one row per sequence
}

const struct sy_op_impl sy_op_impl_kv_append = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .moved = moved,
    .only_written = 1u << 2,
    .flops = sy_no_flops,
};
