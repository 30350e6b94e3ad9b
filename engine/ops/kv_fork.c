// SPDX-License-Identifier: Apache-2.0
// kv_fork: a beam that goes on from another's past takes over its rows of the decoding cache.
#include "engine/op.h"
#include "kernels/chunk.h"

static void ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct sy_kv_fork_args *p = args;
    const uint64_t position = sy_step_of(&b[1])->position, count = position < p->t_max ? position : p->t_max;
    const uint64_t stride = (uint64_t)p->t_max * p->width;
    for (uint64_t s = 0; s < p->batch; ++s) {
        const uint64_t from = (uint64_t)sy_ldi(&b[0], s);
        for (uint64_t i = 0; from != s && i < count * p->width; ++i)
            sy_st(&b[2], s * stride + i, sy_ld(&b[2], from * stride + i));
    }
}

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_kv_fork_args *p = args;
    (void)knobs;
    return (uint64_t)p->batch * SY_PIECES(p->t_max, SY_FORK_ROWS);
}

static uint64_t elements(const void *args, uint32_t i)
{
    const struct sy_kv_fork_args *p = args;
    const uint64_t counts[] = {p->batch, sizeof(struct sy_step) / 4, (uint64_t)p->batch * p->t_max * p->width};
    return counts[i];
}

const struct sy_op_impl sy_op_impl_kv_fork = {
    .ref = ref,
    .groups = groups,
    .elements = elements,
    .flops = sy_no_flops,
};
