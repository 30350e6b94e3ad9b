// SPDX-License-Identifier: Apache-2.0
// attention_dq_blocks.c: how attention_dq is launched with register blocks: 32 queries a group.
#include "engine/ops/attention.h"
#include "engine/variant.h"

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_attention_args *p = args;
    (void)knobs;
    return (uint64_t)p->batch * p->heads * sy_ceil_div(p->tq, 32);
}

const struct sy_variant_impl sy_variant_impl_attention_dq_blocks = {.what = "register blocks, 32 queries a group", .groups = groups};
