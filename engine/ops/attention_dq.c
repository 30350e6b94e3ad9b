// SPDX-License-Identifier: Apache-2.0
// attention_dq.c: the op `attention_dq`: gradients of attention with respect to q and to the relative bias.
#include "engine/ops/attention.h"

static void dq_row(const struct sy_attention *a, uint32_t b, uint32_t h, uint32_t i, const struct sy_ref_tensor *dq)
{
    const struct sy_attention_args *p = a->p;
    double sum[SY_ATTENTION_MAX_DIM] = {0};
    for (uint32_t j = 0; j < p->tk; ++j) {
        const double ds = sy_attention_ds(a, b, h, i, j);
        for (uint32_t d = 0; d < p->dim; ++d)
            sum[d] += ds * sy_ld(a->kv, sy_attention_kv_at(p, b, h, j) + p->k_offset + d);
    }
    for (uint32_t d = 0; d < p->dim; ++d)
        sy_st(dq, sy_attention_q_at(p, b, h, i) + d, sum[d]);
}

// One diagonal of one block of query rows: the ds whose bias is rel[h][x].
static double diagonal(const struct sy_attention *a, uint32_t b, uint32_t h, uint32_t block, uint32_t x)
{
    const struct sy_attention_args *p = a->p;
    const uint32_t first = block * SY_REL_BLOCK, end = first + SY_REL_BLOCK < p->tq ? first + SY_REL_BLOCK : p->tq;
    double sum = 0;
    for (uint32_t i = first; i < end; ++i) {
        const int64_t j = (int64_t)x + i + sy_attention_position(a) - p->rel_origin;
        if (j >= 0 && j < p->tk)
            sum += sy_attention_ds(a, b, h, i, (uint32_t)j);
    }
    return sum;
}

static void attention_dq_ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_attention_args *p = args;
    const struct sy_attention a = {.p = p,
                                   .q = &t[0],
                                   .kv = &t[1],
                                   .rel = &t[2],
                                   .mask = &t[3],
                                   .ld = &t[4],
                                   .dout = &t[5],
                                   .step = sy_step_of(&t[6])};
    const uint32_t blocks = (uint32_t)sy_ceil_div(p->tq, SY_REL_BLOCK);
    assert(p->dim <= SY_ATTENTION_MAX_DIM);
    for (uint32_t b = 0; b < p->batch; ++b)
        for (uint32_t h = 0; h < p->heads; ++h) {
            for (uint32_t i = 0; i < p->tq; ++i)
                dq_row(&a, b, h, i, &t[7]);
            for (uint32_t block = 0; block < blocks && p->has_bias; ++block)
                for (uint32_t x = 0; x < p->span; ++x)
                    sy_st(&t[8], (((uint64_t)b * blocks + block) * p->heads + h) * p->span + x,
                          diagonal(&a, b, h, block, x));
        }
}

static uint64_t attention_dq_groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_attention_args *p = args;
    (void)knobs;
    return sy_attention_groups(p, p->tq);
}

static uint64_t attention_dq_elements(const void *args, uint32_t i)
{
    const struct sy_attention_args *p = args;
    switch (i) {
    case 0:
    case 7: return sy_attention_q_elements(p);
    case 1: return sy_attention_kv_elements(p);
    case 2: return sy_attention_rel_elements(p);
    case 3: return sy_attention_mask_elements(p);
    case 4: return 2 * sy_attention_rows(p);
    case 5: return sy_attention_o_elements(p);
    case 6: return sizeof(struct sy_step) / 4;
    default: return p->batch * sy_ceil_div(p->tq, SY_REL_BLOCK) * sy_attention_rel_elements(p);
    }
}

static double attention_dq_flops(const void *args) { return sy_attention_flops(args, 3); }

static uint64_t moved(const void *args, uint32_t i)
{
    if (i == 0 || i == 7)
        return sy_attention_o_elements(args);
    return i == 1 ? sy_attention_kv_moved(args) : attention_dq_elements(args, i);
}

const struct sy_op_impl sy_op_impl_attention_dq = {
    .ref = attention_dq_ref,
    .groups = attention_dq_groups,
    .elements = attention_dq_elements,
    .moved = moved,
    .flops = attention_dq_flops,
    .wg_simt = 64,                       // 4×4 results of a 32×32 tile each
    .settings = SY_SETTINGS({.wg = 32}), // two of them each
    .sample = sy_attention_sample,
};
