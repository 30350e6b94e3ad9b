// SPDX-License-Identifier: Apache-2.0
// attention.c: the op `attention`: softmax(q·kᵀ + rel + mask) · v with dropout on the probabilities (spec §3).
#include "engine/ops/attention.h"

// One query row of one head: the maximum first, then sums of e = exp(score − max).
static void attention_row(const struct sy_attention *a, uint32_t b, uint32_t h, uint32_t i,
                          const struct sy_ref_tensor *o, const struct sy_ref_tensor *lse)
{
    const struct sy_attention_args *p = a->p;
    double top = -INFINITY, sum = 0, out[SY_ATTENTION_MAX_DIM] = {0};
    for (uint32_t j = 0; j < p->tk; ++j)
        if (sy_attention_seen(a, b, i, j))
            top = fmax(top, sy_attention_score(a, b, h, i, j));
    for (uint32_t j = 0; j < p->tk; ++j) {
        if (!sy_attention_seen(a, b, i, j))
            continue;
        const double e = exp(sy_attention_score(a, b, h, i, j) - top);
        const double kept = e * sy_attention_keep(a, b, h, i, j);
        sum += e;
        for (uint32_t d = 0; d < p->dim; ++d)
            out[d] += kept * sy_ld(a->kv, sy_attention_kv_at(p, b, h, j) + p->v_offset + d);
    }
    for (uint32_t d = 0; d < p->dim; ++d)
        sy_st(o, sy_attention_o_at(p, b, h, i) + d, sum > 0 ? out[d] / sum : 0);
    sy_st(lse, sy_attention_lse_at(p, b, h, i), sum > 0 ? top + log(sum) : SY_LSE_NONE);
}

static void attention_ref(const void *args, const struct sy_ref_tensor *t)
{
    const struct sy_attention_args *p = args;
    const struct sy_attention a = {
        .p = p, .q = &t[0], .kv = &t[1], .rel = &t[2], .mask = &t[3], .step = sy_step_of(&t[4])};
    assert(p->dim <= SY_ATTENTION_MAX_DIM);
    for (uint32_t b = 0; b < p->batch; ++b)
        for (uint32_t h = 0; h < p->heads; ++h)
            for (uint32_t i = 0; i < p->tq; ++i)
                attention_row(&a, b, h, i, &t[5], &t[6]);
}

static uint64_t attention_groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_attention_args *p = args;
    (void)knobs;
    return sy_attention_groups(p, p->tq);
}

static uint64_t attention_elements(const void *args, uint32_t i)
{
    const struct sy_attention_args *p = args;
    switch (i) {
    case 0: return sy_attention_q_elements(p);
    case 1: return sy_attention_kv_elements(p);
    case 2: return sy_attention_rel_elements(p);
    case 3: return sy_attention_mask_elements(p);
    case 4: return sizeof(struct sy_step) / 4;
    case 5: return sy_attention_o_elements(p);
    default: return sy_attention_rows(p);
    }
}

static double attention_flops(const void *args) { return sy_attention_flops(args, 2); }

static uint64_t moved(const void *args, uint32_t i)
{
    if (i == 0)
        return sy_attention_o_elements(args);
    return i == 1 ? sy_attention_kv_moved(args) : attention_elements(args, i);
}

const struct sy_op_impl sy_op_impl_attention = {
    .ref = attention_ref,
    .groups = attention_groups,
    .elements = attention_elements,
    .moved = moved,
    .flops = attention_flops,
    .wg_simt = 64,                       // 4×4 results of a 32×32 tile each
    .settings = SY_SETTINGS({.wg = 32}), // two of them each
    .sample = sy_attention_sample,
};
