// SPDX-License-Identifier: Apache-2.0
// attention_dkv.c: the op `attention_dkv`: gradients of attention with respect to k and v.
#include "engine/ops/attention.h"

static void dkv_row(const struct sy_attention *a, uint32_t b, uint32_t h, uint32_t j, const struct sy_ref_tensor *dkv)
{
    const struct sy_attention_args *p = a->p;
    double dk[SY_ATTENTION_MAX_DIM] = {0}, dv[SY_ATTENTION_MAX_DIM] = {0};
    for (uint32_t i = 0; i < p->tq; ++i) {
        const double kept = sy_attention_prob(a, b, h, i, j) * sy_attention_keep(a, b, h, i, j);
        const double ds = sy_attention_ds(a, b, h, i, j);
        for (uint32_t d = 0; d < p->dim; ++d) {
            dv[d] += kept * sy_ld(a->dout, sy_attention_o_at(p, b, h, i) + d);
            dk[d] += ds * sy_ld(a->q, sy_attention_q_at(p, b, h, i) + d);
        }
    }
    for (uint32_t d = 0; d < p->dim; ++d) {
        sy_st(dkv, sy_attention_kv_at(p, b, h, j) + p->k_offset + d, dk[d]);
        sy_st(dkv, sy_attention_kv_at(p, b, h, j) + p->v_offset + d, dv[d]);
    }
}

static void attention_dkv_ref(const void *args, const struct sy_ref_tensor *t)
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
    assert(p->dim <= SY_ATTENTION_MAX_DIM);
    for (uint32_t b = 0; b < p->batch; ++b)
        for (uint32_t h = 0; h < p->heads; ++h)
            for (uint32_t j = 0; j < p->tk; ++j)
                dkv_row(&a, b, h, j, &t[7]);
}

static uint64_t attention_dkv_groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_attention_args *p = args;
    (void)knobs;
    return 2 * sy_attention_groups(p, p->tk); // dk and dv of a block by two work-groups
}

static uint64_t attention_dkv_elements(const void *args, uint32_t i)
{
    const struct sy_attention_args *p = args;
    switch (i) {
    case 0: return sy_attention_q_elements(p);
    case 1:
    case 7: return sy_attention_kv_elements(p);
    case 2: return sy_attention_rel_elements(p);
    case 3: return sy_attention_mask_elements(p);
    case 4: return 2 * sy_attention_rows(p);
    case 5: return sy_attention_o_elements(p);
    default: return sizeof(struct sy_step) / 4;
    }
}

static double attention_dkv_flops(const void *args) { return sy_attention_flops(args, 4); }

static uint64_t moved(const void *args, uint32_t i)
{
    if (i == 0)
        return sy_attention_o_elements(args);
    return i == 1 || i == 7 ? sy_attention_kv_moved(args) : attention_dkv_elements(args, i);
}

const struct sy_op_impl sy_op_impl_attention_dkv = {
    .ref = attention_dkv_ref,
    .groups = attention_dkv_groups,
    .elements = attention_dkv_elements,
    .moved = moved,
    .flops = attention_dkv_flops,
    .wg_simt = 64,                       // 4×4 results of a 32×32 tile each
    .settings = SY_SETTINGS({.wg = 32}), // two of them each
    .sample = sy_attention_sample,
};
