// SPDX-License-Identifier: Apache-2.0
// attention_dq.c (tests): gradients of q and of the bias. Columns of dq beside q's own belong to someone else.
#include "tests/ops/attention.h"

static const struct sy_attention_args cases[] = {ATT_CASES};

static bool compare(const void *args, uint32_t binding, uint64_t element, double *const *inputs)
{
    const struct sy_attention_args *p = args;
    const uint64_t column = element % p->q_stride;
    (void)inputs;
    return binding != 7 || (column >= p->q_offset && column < p->q_offset + p->heads * p->dim);
}

SY_OP_CASES(attention_dq, cases, .fill = att_fill_backward, .compare = compare, .tolerance_f32 = 4e-6,
            .tolerance_bf16 = 0x1p-8,
            .reason = "f32 sums over dim and keys of differences dp − delta; bf16: one rounding of dq");
