// SPDX-License-Identifier: Apache-2.0
// attention_rows: the variant `rows` of attention for few queries without dropout, as decoding has them, for CPUs (WG is 1):
// o = softmax(q·kᵀ + rel + mask) · v with a running softmax.
//
//   q t [B·tq, q_stride]   kv t [B·tk, kv_stride]   rel f [H, span]   mask i [B, tk]   c step constants
//   o t [B·tq, H·dim]      lse f [B, H, tq]: log Σ exp(score), ATT_NONE where no key is seen
//
// Launch:      a work-group does one query of one head of one sequence. Vectors go along the dimensions: with one query
//              there is nothing to lay side by side, and blocks of 32 lanes would compute 31 for nobody.
// Determinism: keys are taken in tiles of 32 in order; a product's sum in a tree of lanes. Nothing depends on the data.
#include "common.cl.h"
#include "attention_blocks.cl.h"

#define ROW_CHUNKS ((SY_ATTENTION_MAX_DIM + 15u) / 16u)

// The first min(n, 16) elements at p, then zeros.
ATT_INLINE float16 att_load16(__global const T *p, uint n)
{
    float16 v = 0.0f;
    v.lo = att_load8(p, n);
    if (n > 8u)
        v.hi = att_load8(p + 8u, n - 8u);
    return v;
}

// s[j] = q · k_j + rel, or ATT_MASKED: also for what is no key.
#define ATT_ROW(name, chunks)                                                                                     \
    ATT_INLINE void name##_scores(float *s, const float16 *query, __global const T *keys, uint rows,              \
                                  __global const float *rel, __global const int *seen,                            \
                                  const struct sy_attention_args *p)                                              \
    {                                                                                                             \
        for (uint j = 0; j < ATT_TILE; ++j)                                                                       \
            s[j] = ATT_MASKED;                                                                                    \
        for (uint j = 0; j < rows; ++j, keys += p->kv_stride) {                                                   \
            float16 sum = 0.0f;                                                                                   \
            ATT_UNROLL for (uint x = 0; x < chunks; ++x)                                                          \
                sum = fma(query[x], att_load16(keys + 16u * x, p->dim - min(p->dim, 16u * x)), sum);              \
            const float score = vsum16(sum) + (p->has_bias ? rel[j] : 0.0f);                                      \
            s[j] = p->has_mask && seen[j] == 0 ? ATT_MASKED : score;                                              \
        }                                                                                                         \
    }                                                                                                             \
    ATT_INLINE void name##_sums(float16 *sum, float shrink, const float *e, __global const T *values, uint rows,  \
                                const struct sy_attention_args *p)                                                \
    {                                                                                                             \
        ATT_UNROLL for (uint x = 0; x < chunks; ++x) sum[x] *= shrink;                                            \
        for (uint j = 0; j < rows; ++j, values += p->kv_stride)                                                   \
            ATT_UNROLL for (uint x = 0; x < chunks; ++x)                                                          \
                sum[x] = fma((float16)(e[j]), att_load16(values + 16u * x, p->dim - min(p->dim, 16u * x)), sum[x]); \
    }
ATT_ROW(att_row4, 4u)
ATT_ROW(att_row_any, ROW_CHUNKS)

KERNEL void attention_rows(__global const T *restrict q, __global const T *restrict kv, __global const float *restrict rel,
                           __global const int *restrict mask, __constant struct sy_step *c, __global T *restrict o,
                           __global float *restrict lse, const struct sy_attention_args p)
{
    GROUP_GUARD(p.batch * p.heads * p.tq);
    const uint i = GROUP_ID % p.tq, head = GROUP_ID / p.tq % p.heads, b = GROUP_ID / p.tq / p.heads;
    const uint at = i + (p.decode ? c->position : 0u); // of the query, as the keys count
    const uint keys = p.causal ? min(p.tk, at + 1u) : p.tk;
    __global const T *kv_head = kv + b * p.tk * p.kv_stride + head * p.dim;
    __global const T *mine = q + (b * p.tq + i) * p.q_stride + p.q_offset + head * p.dim;
    float16 query[ROW_CHUNKS], sum[ROW_CHUNKS];
    float s[ATT_TILE], top = ATT_NONE, total = 0.0f;
    for (uint x = 0; x < ROW_CHUNKS; ++x) {
        query[x] = 16u * x < p.dim ? att_load16(mine + 16u * x, p.dim - 16u * x) : (float16)(0.0f);
        sum[x] = 0.0f;
    }
    for (uint j0 = 0; j0 < keys; j0 += ATT_TILE) {
        const uint rows = min(ATT_TILE, keys - j0);
        __global const int *seen = mask + b * p.tk + j0;
        __global const float *bias = rel + head * p.span + (j0 + p.rel_origin - at);
        if (p.has_mask && !att_any(seen, rows))
            continue;
        if (p.dim <= 64u)
            att_row4_scores(s, query, kv_head + p.k_offset + j0 * p.kv_stride, rows, bias, seen, &p);
        else
            att_row_any_scores(s, query, kv_head + p.k_offset + j0 * p.kv_stride, rows, bias, seen, &p);
        const float16 lo = vload16(0, s), hi = vload16(1, s), most = fmax(lo, hi);
        const float8 most8 = fmax(most.lo, most.hi);
        const float4 most4 = fmax(most8.lo, most8.hi);
        const float next = fmax(top, fmax(fmax(most4.x, most4.y), fmax(most4.z, most4.w)));
        const float shrink = sy_exp((float16)(top - next)).s0;
        const float16 e_lo = sy_exp(lo - next), e_hi = sy_exp(hi - next);
        sy_put(e_lo, s);
        sy_put(e_hi, s + 16);
        total = total * shrink + vsum16(e_lo + e_hi);
        top = next;
        if (p.dim <= 64u)
            att_row4_sums(sum, shrink, s, kv_head + p.v_offset + j0 * p.kv_stride, rows, &p);
        else
            att_row_any_sums(sum, shrink, s, kv_head + p.v_offset + j0 * p.kv_stride, rows, &p);
    }
    const float inverse = total > 0.0f ? 1.0f / total : 0.0f;
    __global T *out = o + ((b * p.tq + i) * p.heads + head) * p.dim;
    for (uint d = 0; d < p.dim; d += 16u) {
        const float16 y = sum[d / 16u] * inverse;
        att_store8(y.lo, out + d, p.dim - d);
        if (d + 8u < p.dim)
            att_store8(y.hi, out + d + 8u, p.dim - d - 8u);
    }
    lse[(b * p.heads + head) * p.tq + i] = total > 0.0f ? top + log(total) : ATT_NONE;
}
