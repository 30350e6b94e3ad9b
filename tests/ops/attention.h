// SPDX-License-Identifier: Apache-2.0
// attention.h: the shapes that the four attention ops are tested with, and what makes their inputs sensible.
#pragma once

#include <stdlib.h>

#include "engine/ops/attention.h"
#include "tests/ops.h"

// Fused q|k|v rows, as self-attention binds them.
#define ATT_SELF(b, h, t, k)                                                                                \
    .batch = (b), .heads = (h), .tq = (t), .tk = (t), .dim = (k), .q_stride = 3 * (h) * (k), .q_offset = 0, \
    .kv_stride = 3 * (h) * (k), .k_offset = (h) * (k), .v_offset = 2 * (h) * (k)
// q alone and k|v rows, as cross-attention and decoding bind them.
#define ATT_CROSS(b, h, q, t, k)                                                                        \
    .batch = (b), .heads = (h), .tq = (q), .tk = (t), .dim = (k), .q_stride = (h) * (k), .q_offset = 0, \
    .kv_stride = 2 * (h) * (k), .k_offset = 0, .v_offset = (h) * (k)
// v before k, and gaps around everything.
#define ATT_GAPS(b, h, q, t, k)                                                                             \
    .batch = (b), .heads = (h), .tq = (q), .tk = (t), .dim = (k), .q_stride = (h) * (k) + 5, .q_offset = 3, \
    .kv_stride = 2 * (h) * (k) + 7, .k_offset = (h) * (k) + 4, .v_offset = 2
#define ATT_BIAS(q, t) .has_bias = 1, .span = (q) + (t)-1, .rel_origin = (q)-1
// Some heads of an attention that has `others` more.
#define ATT_SOME(first, others) .first_head = (first), .other_heads = (others)
#define ATT_DROP .threshold = 0x40000000u, .scale = 4.0f / 3.0f, .stream = 11
// Decoding: a cache of t keys, query rows at sy_step.position (set by att_fill_step).
#define ATT_DECODE(t) .decode = 1, .causal = 1, .has_bias = 1, .span = 2 * (t)-1, .rel_origin = (t)-1

#define ATT_CASES                                                                                          \
    {ATT_SELF(1, 1, 1, 8), .scale = 1}, {ATT_SELF(2, 3, 7, 5), ATT_BIAS(7, 7), .has_mask = 1, .scale = 1}, \
        {ATT_SELF(2, 2, 33, 32), ATT_BIAS(33, 33), .causal = 1, .scale = 1},                               \
        {ATT_SELF(3, 2, 70, 8), ATT_BIAS(70, 70), .causal = 1, .has_mask = 1, ATT_DROP},                   \
        {ATT_SELF(2, 2, 64, 64), ATT_BIAS(64, 64), .has_mask = 1, ATT_DROP, ATT_SOME(2, 10)},              \
        {ATT_CROSS(2, 2, 12, 40, 64), .has_mask = 1, .scale = 1},                                          \
        {ATT_CROSS(1, 3, 33, 9, 32), .has_mask = 1, ATT_DROP, ATT_SOME(6, 3)},                             \
        {ATT_CROSS(1, 2, 17, 1, 5), ATT_BIAS(17, 1), .scale = 1},                                          \
        {ATT_CROSS(2, 1, 1, 40, 13), ATT_BIAS(1, 40), ATT_DROP},                                           \
        {ATT_GAPS(3, 2, 12, 40, 8), ATT_BIAS(12, 40), .has_mask = 1, ATT_DROP},                            \
        {ATT_GAPS(1, 1, 50, 37, 128), ATT_BIAS(50, 37), .causal = 1, .scale = 1},                          \
        {ATT_SELF(2, 1, 130, 64), ATT_BIAS(130, 130), .causal = 1, .has_mask = 1, ATT_DROP},               \
        {ATT_CROSS(2, 2, 1, 40, 32), ATT_DECODE(40), .scale = 1},                                          \
    {                                                                                                      \
        ATT_CROSS(1, 2, 3, 70, 8), ATT_DECODE(70), .has_mask = 1, ATT_DROP                                 \
    }

// Padding at the end of sequence 0, at the start of sequence 1 (causal rows before it see no key at all), a last
// sequence of three that is nothing but padding.
static inline double att_mask_of(const struct sy_attention_args *p, uint32_t b, uint32_t j)
{
    return b == 0 ? j < p->tk - p->tk / 3 : b == 1 ? j >= p->tk / 2 : 0;
}

static inline void att_fill_mask(const struct sy_attention_args *p, double *mask)
{
    for (uint32_t b = 0; b < p->batch && p->has_mask; ++b)
        for (uint32_t j = 0; j < p->tk; ++j)
            mask[(uint64_t)b * p->tk + j] = att_mask_of(p, b, j);
}

static inline void att_fill_step(const struct sy_attention_args *p, struct sy_step *step)
{
    step->position = p->decode ? p->tk * 4 / 5 : 0;
}

/// Scores of about N(0,1): q shrinks, because attention itself divides by nothing.
static inline void att_fill_query(const struct sy_attention_args *p, double *q, uint64_t count)
{
    for (uint64_t i = 0; i < count; ++i)
        q[i] /= sqrt(p->dim);
}

static inline struct sy_ref_tensor att_f64(double *data, uint64_t count)
{
    return (struct sy_ref_tensor){data, SY_F64, count};
}

/// Backward's inputs fit together: lse and delta are those of a forward pass over the same q, kv and do. delta is then
/// moved, so that an op that forgets it cannot pass.
/// values: q kv rel mask ld do c, as attention_dq and attention_dkv bind them.
static inline void att_fill_backward(const void *args, double *const *values, const uint64_t *counts,
                                     struct sy_step *step, struct sy_rng *rng)
{
    const struct sy_attention_args *p = args;
    const uint64_t rows = (uint64_t)p->batch * p->heads * p->tq, outs = rows * p->dim;
    double *o = calloc(outs, sizeof *o), *lse = calloc(rows, sizeof *lse);
    int32_t *mask = calloc(counts[3], sizeof *mask);
    (void)rng;
    att_fill_query(p, values[0], counts[0]);
    att_fill_mask(p, values[3]);
    att_fill_step(p, step);
    if (o != NULL && lse != NULL && mask != NULL) {
        for (uint64_t i = 0; i < counts[3]; ++i)
            mask[i] = (int32_t)values[3][i];
        const struct sy_ref_tensor forward[] = {att_f64(values[0], counts[0]),
                                                att_f64(values[1], counts[1]),
                                                att_f64(values[2], counts[2]),
                                                {mask, SY_I32, counts[3]},
                                                {step, SY_U32, sizeof *step / 4},
                                                att_f64(o, outs),
                                                att_f64(lse, rows)};
        const struct sy_ref_tensor delta[] = {att_f64(o, outs), att_f64(values[5], counts[5]), att_f64(lse, rows),
                                              att_f64(values[4], counts[4])};
        sy_op_impl_attention.ref(p, forward);
        sy_op_impl_attention_delta.ref(p, delta);
        const struct sy_attention a = {.p = p, .mask = &forward[3], .step = step};
        for (uint64_t i = 0; i < rows; ++i) {
            values[4][2 * i + 1] += 0.25;
            // A lone key's ds must be 0, not p·(dp − delta). Its score equals lse to the bit when the device itself
            // computed lse; this one knows q and k before they are rounded, so it is moved clearly to the side on which
            // p counts as 1.
            if (sy_attention_lone(&a, (uint32_t)(i / p->tq / p->heads), (uint32_t)(i % p->tq)))
                values[4][2 * i] -= 0.0625;
        }
    }
    free(o);
    free(lse);
    free(mask);
}
