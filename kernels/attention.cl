// SPDX-License-Identifier: Apache-2.0
// attention: o = dropout(softmax(q·kᵀ + rel + mask)) · v with a running softmax: no [tq, tk] matrix leaves the core.
//
//   q t [B·tq, q_stride]   kv t [B·tk, kv_stride]   rel f [H, span]   mask i [B, tk]   c step constants
//   o t [B·tq, H·dim]      lse f [B, H, tq]: log Σ exp(score) before dropout, ATT_NONE where no key is seen
//
// Launch:      a work-group does 32 query rows of one head of one sequence; blocks of rows fastest.
// Determinism: keys are taken in tiles of 32 in order; within a tile in order. Nothing depends on the data.
#include "common.cl.h"
#include "attention.cl.h"

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
            att_keep_tile(side_b, SY_ATTENTION_PLANE(p, c->sequence + b, head), i0, j0, lid, &p, c);
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
