// SPDX-License-Identifier: Apache-2.0
// attention.h: what the references of the four attention ops share.
#pragma once

#include "engine/op.h"
#include "kernels/philox.h"

/// lse of a query that sees no key: finite, so that nothing downstream is ever infinite.
#define SY_LSE_NONE (-1e30)

/// The inputs, by name; what an op does not bind stays NULL.
struct sy_attention {
    const struct sy_attention_args *p;
    const struct sy_ref_tensor *q, *kv, *rel, *mask, *ld, *dout;
    const struct sy_step *step;
};

/// Whether products of pairs of bf16 pay on a CPU (the variants `dot`): making pairs, and exponentials, cost the same
/// however short heads are. Of 64 they halve the time, of 32 they save a third, of 16 nothing; of 8 they lose a half.
static inline bool sy_attention_pairs_pay(const void *args)
{
    return ((const struct sy_attention_args *)args)->dim >= 32;
}

static inline uint64_t sy_attention_q_at(const struct sy_attention_args *p, uint32_t b, uint32_t h, uint32_t i)
{
    return ((uint64_t)b * p->tq + i) * p->q_stride + p->q_offset + (uint64_t)h * p->dim;
}

/// Key row j of head h, without k_offset or v_offset.
static inline uint64_t sy_attention_kv_at(const struct sy_attention_args *p, uint32_t b, uint32_t h, uint32_t j)
{
    return ((uint64_t)b * p->tk + j) * p->kv_stride + (uint64_t)h * p->dim;
}

static inline uint64_t sy_attention_o_at(const struct sy_attention_args *p, uint32_t b, uint32_t h, uint32_t i)
{
    return (((uint64_t)b * p->tq + i) * p->heads + h) * p->dim;
}

static inline uint64_t sy_attention_lse_at(const struct sy_attention_args *p, uint32_t b, uint32_t h, uint32_t i)
{
    return ((uint64_t)b * p->heads + h) * p->tq + i;
}

static inline uint32_t sy_attention_position(const struct sy_attention *a)
{
    return a->p->decode ? a->step->position : 0;
}

static inline bool sy_attention_seen(const struct sy_attention *a, uint32_t b, uint32_t i, uint32_t j)
{
    if (a->p->has_mask && sy_ldi(a->mask, (uint64_t)b * a->p->tk + j) == 0)
        return false;
    return !a->p->causal || j <= i + sy_attention_position(a);
}

static inline double sy_attention_dot(const struct sy_ref_tensor *x, uint64_t x_at, const struct sy_ref_tensor *y,
                                      uint64_t y_at, uint32_t dim)
{
    double sum = 0;
    for (uint32_t d = 0; d < dim; ++d)
        sum += sy_ld(x, x_at + d) * sy_ld(y, y_at + d);
    return sum;
}

/// q·k + rel of a key that is seen.
static inline double sy_attention_score(const struct sy_attention *a, uint32_t b, uint32_t h, uint32_t i, uint32_t j)
{
    const struct sy_attention_args *p = a->p;
    double s = sy_attention_dot(a->q, sy_attention_q_at(p, b, h, i), a->kv,
                                sy_attention_kv_at(p, b, h, j) + p->k_offset, p->dim);
    if (p->has_bias)
        s += sy_ld(a->rel, (uint64_t)h * p->span + (j + p->rel_origin - i - sy_attention_position(a)));
    return s;
}

/// The dropout factor of a probability: 0 or scale, 1 without dropout.
static inline double sy_attention_keep(const struct sy_attention *a, uint32_t b, uint32_t h, uint32_t i, uint32_t j)
{
    const struct sy_attention_args *p = a->p;
    const struct sy_step *c = a->step;
    if (p->threshold == 0)
        return 1;
    const uint32_t plane = SY_ATTENTION_PLANE(*p, c->sequence + b, h);
    return sy_random_bits(c->seed_lo, c->seed_hi, c->step, p->stream, plane, i, j) < p->threshold ? 0 : p->scale;
}

/// p = exp(score − lse) of backward; 0 for a key that is not seen.
static inline double sy_attention_prob(const struct sy_attention *a, uint32_t b, uint32_t h, uint32_t i, uint32_t j)
{
    if (!sy_attention_seen(a, b, i, j))
        return 0;
    return exp(sy_attention_score(a, b, h, i, j) - sy_ld(a->ld, 2 * sy_attention_lse_at(a->p, b, h, i)));
}

/// Whether query i sees one key only: its p is 1 whatever the score, and the score's gradient exactly 0.
static inline bool sy_attention_lone(const struct sy_attention *a, uint32_t b, uint32_t i)
{
    uint32_t seen = 0;
    for (uint32_t j = 0; j < a->p->tk && seen < 2; ++j)
        seen += sy_attention_seen(a, b, i, j);
    return seen == 1;
}

/// ds = p · (keep · do·v − delta), the gradient of a score.
static inline double sy_attention_ds(const struct sy_attention *a, uint32_t b, uint32_t h, uint32_t i, uint32_t j)
{
    const struct sy_attention_args *p = a->p;
    const double prob = sy_attention_prob(a, b, h, i, j);
    if (prob == 0 || sy_attention_lone(a, b, i))
        return 0;
    const double dp =
        sy_attention_keep(a, b, h, i, j) * sy_attention_dot(a->dout, sy_attention_o_at(p, b, h, i), a->kv,
                                                            sy_attention_kv_at(p, b, h, j) + p->v_offset, p->dim);
    return prob * (dp - sy_ld(a->ld, 2 * sy_attention_lse_at(p, b, h, i) + 1));
}

// ---- element counts of the bindings --------------------------------------------------------------------------------

static inline uint64_t sy_attention_q_elements(const struct sy_attention_args *p)
{
    return ((uint64_t)p->batch * p->tq - 1) * p->q_stride + p->q_offset + (uint64_t)p->heads * p->dim;
}

static inline uint64_t sy_attention_kv_elements(const struct sy_attention_args *p)
{
    const uint32_t last = p->k_offset > p->v_offset ? p->k_offset : p->v_offset;
    return ((uint64_t)p->batch * p->tk - 1) * p->kv_stride + last + (uint64_t)p->heads * p->dim;
}

static inline uint64_t sy_attention_o_elements(const struct sy_attention_args *p)
{
    return (uint64_t)p->batch * p->tq * p->heads * p->dim;
}

/// Of the key and value rows (or their gradients), what attention itself reads or writes.
static inline uint64_t sy_attention_kv_moved(const struct sy_attention_args *p)
{
    return 2 * (uint64_t)p->batch * p->tk * p->heads * p->dim;
}

static inline uint64_t sy_attention_rows(const struct sy_attention_args *p)
{
    return (uint64_t)p->batch * p->heads * p->tq;
}

static inline uint64_t sy_attention_rel_elements(const struct sy_attention_args *p)
{
    return p->has_bias ? (uint64_t)p->heads * p->span : 0;
}

static inline uint64_t sy_attention_mask_elements(const struct sy_attention_args *p)
{
    return p->has_mask ? (uint64_t)p->batch * p->tk : 0;
}

/// A mask that hides nothing.
static inline void sy_attention_sample(const void *args, uint32_t i, int32_t *out)
{
    (void)i;
    for (uint64_t k = 0; k < sy_attention_mask_elements(args); ++k)
        out[k] = 1;
}

/// Floating-point operations of `products` products of the size of q·kᵀ (causal ones counted in full).
static inline double sy_attention_flops(const struct sy_attention_args *p, double products)
{
    return 2.0 * products * p->batch * p->heads * p->tq * p->tk * p->dim;
}

/// Work-groups that own 32 of `rows` rows each, of one head of one sequence (kernels/attention.cl.h).
static inline uint64_t sy_attention_groups(const struct sy_attention_args *p, uint32_t rows)
{
    return (uint64_t)p->batch * p->heads * sy_ceil_div(rows, 32);
}
