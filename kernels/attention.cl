// SPDX-License-Identifier: Apache-2.0
// attention: o = dropout(softmax(q·kᵀ + rel + mask)) · v with a running softmax: no [tq, tk] matrix leaves the core.
//
//   q t [B·tq, q_stride]   kv t [B·tk, kv_stride]   rel f [H, span]   mask i [B, tk]   c step constants
//   o t [B·tq, H·dim]      lse f [B, H, tq]: log Σ exp(score) before dropout, ATT_NONE where no key is seen
//
// Launch:      a work-group does 16 (WG == 1) or 32 query rows of one head of one sequence; blocks of rows fastest.
// Determinism: keys are taken in tiles of 32 in order; within a tile in order. Nothing depends on the data.
#include "common.cl.h"
#include "attention.cl.h"

#if WG == 1
// One tile of the running softmax: s becomes p = exp(s − max), and max, sum and o follow the new maximum.
ATT_INLINE void softmax_tile(float *s, float *o, float16 *row_max, float16 *row_sum, uint rows, uint dim)
{
    float16 top = *row_max;
    for (uint r = 0; r < rows; ++r) {
        const float16 x = vload16(r, s);
        top = x > top ? x : top;
    }
    const float16 shrink = att_exp(*row_max - top);
    float16 sum = *row_sum * shrink;
    for (uint r = 0; r < rows; ++r) {
        const float16 e = att_exp(vload16(r, s) - top);
        sum += e;
        vstore16(e, r, s);
    }
    for (uint d = 0; d < dim; ++d)
        vstore16(vload16(d, o) * shrink, d, o);
    *row_max = top;
    *row_sum = sum;
}

KERNEL void attention(__global const T *restrict q, __global const T *restrict kv, __global const float *restrict rel,
                      __global const int *restrict mask, __constant struct sy_step *c, __global T *restrict o,
                      __global float *restrict lse, const struct sy_attention_args p)
{
    float query[SY_ATTENTION_MAX_DIM * ATT_LANES], sum[SY_ATTENTION_MAX_DIM * ATT_LANES];
    float tile[ATT_TILE * ATT_PITCH], s[ATT_TILE * ATT_LANES], keep[ATT_TILE * ATT_LANES];
    float window[ATT_TILE + ATT_LANES];
    const uint blocks = (p.tq + ATT_LANES - 1u) / ATT_LANES;
    const uint head = GROUP_ID / blocks % p.heads, b = GROUP_ID / blocks / p.heads;
    const uint i0 = GROUP_ID % blocks * ATT_LANES, lanes = min(ATT_LANES, p.tq - i0);
    const uint first = i0 + (p.decode ? c->position : 0u); // of the queries, as the keys count
    const uint keys = p.causal ? min(p.tk, first + lanes) : p.tk;
    const uint plane = (c->sequence + b) * p.heads + head;
    __global const T *kv_head = kv + b * p.tk * p.kv_stride + head * p.dim;

    att_load_lanes(query, q + (b * p.tq + i0) * p.q_stride + p.q_offset + head * p.dim, p.q_stride, lanes, p.dim);
    for (uint d = 0; d < att_padded(p.dim); ++d)
        vstore16((float16)0.0f, d, sum);
    float16 row_max = ATT_NONE, row_sum = 0.0f;
    for (uint j0 = 0; j0 < keys; j0 += ATT_TILE) {
        const uint rows = min(ATT_TILE, keys - j0);
        if (p.has_mask && !att_any(mask + b * p.tk + j0, rows))
            continue;
        att_load_rows(tile, kv_head + p.k_offset + j0 * p.kv_stride, p.kv_stride, rows, p.dim);
        att_dot(s, query, tile, rows, p.dim);
        if (p.has_bias)
            att_bias_window(window, rel + head * p.span, (int)(j0 + p.rel_origin - first), -1, p.span);
        att_mask_keys(s, window, mask + b * p.tk + j0, rows, first, j0, &p);
        softmax_tile(s, sum, &row_max, &row_sum, rows, p.dim);
        if (p.threshold != 0u) {
            att_keep_keys(keep, rows, plane, i0, j0, &p, c);
            for (uint r = 0; r < rows; ++r)
                vstore16(vload16(r, s) * vload16(r, keep), r, s);
        }
        att_load_rows(tile, kv_head + p.v_offset + j0 * p.kv_stride, p.kv_stride, rows, p.dim);
        att_accumulate(sum, s, tile, rows, p.dim);
    }

    const float16 inverse = row_sum > 0.0f ? 1.0f / row_sum : (float16)0.0f;
    for (uint d = 0; d < p.dim; ++d)
        vstore16(vload16(d, sum) * inverse, d, sum);
    att_store_lanes(sum, o + (b * p.tq + i0) * p.heads * p.dim + head * p.dim, p.heads * p.dim, lanes, p.dim);
    float stats[ATT_LANES];
    vstore16(row_sum > 0.0f ? row_max + log(row_sum) : (float16)ATT_NONE, 0, stats);
    for (uint r = 0; r < lanes; ++r)
        lse[(b * p.heads + head) * p.tq + i0 + r] = stats[r];
}
#else
// One row of the running softmax: p = exp(s − max), multiplied by its dropout factors in `keep`.
// stats = running maximum, running sum, and by how much older sums shrink.
ATT_INLINE void softmax_row(__local float *s, const __local float *keep, __local float *stats, bool dropped)
{
    float top = stats[0], sum = 0.0f;
    for (uint j = 0; j < ATT_TILE; ++j)
        top = fmax(top, s[j]);
    const float shrink = exp(stats[0] - top);
    for (uint j = 0; j < ATT_TILE; ++j) {
        const float e = exp(s[j] - top);
        sum += e;
        s[j] = dropped ? e * keep[j] : e;
    }
    stats[0] = top;
    stats[1] = stats[1] * shrink + sum;
    stats[2] = shrink;
}

// o = o · shrink + p · v in one chunk of dimensions.
#define ADD_CHUNK(chunk)                                                                                         \
    if ((chunk) * ATT_TILE < p.dim)                                                                              \
        att_load_tile(side_b, v_tile + (chunk) * ATT_TILE, p.kv_stride, rows, p.dim - (chunk) * ATT_TILE, lid);  \
    BARRIER();                                                                                                   \
    for (uint t = 0; t < ATT_BLOCKS; ++t)                                                                        \
        if (ATT_BUSY(t) && (chunk) * ATT_TILE < p.dim) {                                                         \
            _Pragma("unroll")                                                                                    \
            for (uint x = 0; x < 16u; ++x)                                                                       \
                sum[t][chunk][x] *= stats[ATT_ROW(t, x) * 3u + 2u];                                              \
            ATT_MUL(sum[t][chunk], scores, side_b, rows, t);                                                     \
        }                                                                                                        \
    BARRIER();

MANY_SUMS
KERNEL void attention(__global const T *restrict q, __global const T *restrict kv, __global const float *restrict rel,
                      __global const int *restrict mask, __constant struct sy_step *c, __global T *restrict o,
                      __global float *restrict lse, const struct sy_attention_args p)
{
    __local float side_a[ATT_SIZE], side_b[ATT_SIZE], scores[ATT_SIZE], stats[ATT_TILE * 3];
    const uint lid = LOCAL_ID;
    const uint blocks = (p.tq + ATT_TILE - 1u) / ATT_TILE;
    const uint head = GROUP_ID / blocks % p.heads, b = GROUP_ID / blocks / p.heads;
    const uint i0 = GROUP_ID % blocks * ATT_TILE, lanes = min(ATT_TILE, p.tq - i0);
    const uint position = p.decode ? c->position : 0u;
    const uint keys = p.causal ? min(p.tk, i0 + position + lanes) : p.tk;
    __global const T *q_head = q + (b * p.tq + i0) * p.q_stride + p.q_offset + head * p.dim;
    __global const T *kv_head = kv + b * p.tk * p.kv_stride + head * p.dim;

    float sum[ATT_BLOCKS][ATT_CHUNKS][16];
    for (uint t = 0; t < ATT_BLOCKS; ++t)
#pragma unroll
        for (uint chunk = 0; chunk < ATT_CHUNKS; ++chunk)
#pragma unroll
            for (uint x = 0; x < 16u; ++x)
                sum[t][chunk][x] = 0.0f;
    for (uint r = lid; r < ATT_TILE; r += WG)
        stats[r * 3u] = ATT_NONE, stats[r * 3u + 1u] = 0.0f, stats[r * 3u + 2u] = 1.0f;

    for (uint j0 = 0; j0 < keys; j0 += ATT_TILE) {
        const uint rows = min(ATT_TILE, p.tk - j0);
        float s[ATT_BLOCKS][16];
        for (uint t = 0; t < ATT_BLOCKS; ++t)
#pragma unroll
            for (uint x = 0; x < 16u; ++x)
                s[t][x] = 0.0f;
        for (uint d0 = 0; d0 < p.dim; d0 += ATT_TILE) {
            att_load_tile(side_a, q_head + d0, p.q_stride, lanes, p.dim - d0, lid);
            att_load_tile(side_b, kv_head + p.k_offset + j0 * p.kv_stride + d0, p.kv_stride, rows, p.dim - d0, lid);
            BARRIER();
            for (uint t = 0; t < ATT_BLOCKS; ++t)
                if (ATT_BUSY(t))
                    ATT_DOT(s[t], side_a, side_b, min(ATT_TILE, p.dim - d0), t);
            BARRIER();
        }
        for (uint t = 0; t < ATT_BLOCKS; ++t)
#pragma unroll
            for (uint x = 0; x < 16u; ++x)
                if (ATT_BUSY(t))
                    scores[ATT_ROW(t, x) * ATT_PITCH + ATT_COL(t, x)] =
                        att_score(s[t][x], i0 + ATT_ROW(t, x), j0 + ATT_COL(t, x), position, rel + head * p.span,
                                  mask + b * p.tk, &p);
        if (p.threshold != 0u)
            att_keep_tile(side_b, (c->sequence + b) * p.heads + head, i0, j0, lid, &p, c);
        BARRIER();
        for (uint r = lid; r < ATT_TILE; r += WG)
            softmax_row(scores + r * ATT_PITCH, side_b + r * ATT_PITCH, stats + r * 3u, p.threshold != 0u);
        BARRIER();
        __global const T *v_tile = kv_head + p.v_offset + j0 * p.kv_stride;
        ATT_EACH_CHUNK(ADD_CHUNK)
    }
    BARRIER();
    for (uint t = 0; t < ATT_BLOCKS; ++t)
#pragma unroll
        for (uint chunk = 0; chunk < ATT_CHUNKS; ++chunk)
#pragma unroll
            for (uint x = 0; x < 16u; ++x) {
                const uint r = ATT_ROW(t, x), d = chunk * ATT_TILE + ATT_COL(t, x);
                if (ATT_BUSY(t) && r < lanes && d < p.dim) {
                    const float total = stats[r * 3u + 1u];
                    const float value = total > 0.0f ? sum[t][chunk][x] / total : 0.0f;
                    T_ST(o, ((b * p.tq + i0 + r) * p.heads + head) * p.dim + d, value);
                }
            }
    for (uint r = lid; r < lanes; r += WG) {
        const float total = stats[r * 3u + 1u];
        lse[(b * p.heads + head) * p.tq + i0 + r] = total > 0.0f ? stats[r * 3u] + log(total) : ATT_NONE;
    }
}
#endif
