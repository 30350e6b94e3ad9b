// SPDX-License-Identifier: Apache-2.0
// attention_lanes.cl.h: the variants `blocks` and `dot` of attention for CPUs (WG is 1):
// o = dropout(softmax(q·kᵀ + rel + mask)) · v with a running softmax, both products in register blocks
// (attention_blocks.cl.h).
//
//   q t [B·tq, q_stride]   kv t [B·tk, kv_stride]   rel f [H, span]   mask i [B, tk]   c step constants
//   o t [B·tq, H·dim]      lse f [B, H, tq]: log Σ exp(score) before dropout, ATT_NONE where no key is seen
//
// Launch:      a work-group does 32 query rows of one head of one sequence; blocks of rows fastest.
// Determinism: keys are taken in tiles of ATT_TILE in order; within a tile in order. Nothing depends on the data.
#ifndef SY_ATTENTION_LANES_CL_H
#define SY_ATTENTION_LANES_CL_H
#include "common.cl.h"
#include "attention_blocks.cl.h"

// One tile of the running softmax in 16 lanes: s becomes p = exp(s − max); max and sum follow the new maximum, and
// `shrink` is by how much older sums shrink.
ATT_INLINE void softmax_tile(float *s, float *row_max, float *row_sum, float *shrink, const float *window,
                             __global const int *mask, uint rows, uint query, uint j0, const struct sy_attention_args *p)
{
    const bool diagonal = p->causal && j0 + rows - 1u > query;
    const float16 old = vload16(0, row_max);
    float16 top = old;
    for (uint r = 0; r < rows; ++r) {
        const float16 x =
            att_masked_key(vload16(0, s + r * ATT_LANES), window, mask, r, query, j0 + r, diagonal, p);
        sy_put(x, s + r * ATT_LANES);
        top = x > top ? x : top;
    }
    const float16 by = sy_exp(old - top);
    float16 sum = vload16(0, row_sum) * by;
    for (uint r = 0; r < rows; ++r) {
        const float16 e = sy_exp(vload16(0, s + r * ATT_LANES) - top);
        sum += e;
        sy_put(e, s + r * ATT_LANES);
    }
    sy_put(top, row_max);
    sy_put(sum, row_sum);
    sy_put(by, shrink);
}

ATT_INLINE void att_kernel(__global const T *restrict q, __global const T *restrict kv, __global const float *restrict rel,
                           __global const int *restrict mask, __constant struct sy_step *c, __global T *restrict o,
                           __global float *restrict lse, const struct sy_attention_args p)
{
    FACTOR query[ATT_FACTORS(SY_ATTENTION_MAX_DIM) * ATT_LANES], tile[ATT_TILE_SIZE];
    float sum[SY_ATTENTION_MAX_DIM * ATT_LANES], s[ATT_TILE * ATT_LANES], keep[ATT_TILE * ATT_LANES];
    float window[ATT_WINDOW], row_max[ATT_LANES], row_sum[ATT_LANES], shrink[ATT_LANES];
    const uint blocks = (p.tq + ATT_LANES - 1u) / ATT_LANES;
    const uint head = GROUP_ID / blocks % p.heads, b = GROUP_ID / blocks / p.heads;
    const uint i0 = GROUP_ID % blocks * ATT_LANES, lanes = min(ATT_LANES, p.tq - i0);
    const uint width = lanes > ATT_HALF ? ATT_LANES : ATT_HALF;
    const uint position = p.decode ? c->position : 0u;
    const uint first = i0 + position; // of the queries, as the keys count
    const uint keys = p.causal ? min(p.tk, first + lanes) : p.tk;
    const uint plane = SY_ATTENTION_PLANE(p, c->sequence + b, head);
    __global const T *kv_head = kv + b * p.tk * p.kv_stride + head * p.dim;

    att_load_lanes(query, q + (b * p.tq + i0) * p.q_stride + p.q_offset + head * p.dim, p.q_stride, lanes, p.dim, width);
    att_clear(sum, att_padded(p.dim));
    for (uint h = 0; h < ATT_LANES; h += ATT_HALF) {
        sy_put((float16)ATT_NONE, row_max + h);
        sy_put((float16)0.0f, row_sum + h);
    }
    for (uint j0 = 0; j0 < keys; j0 += ATT_TILE) {
        const uint rows = min(ATT_TILE, keys - j0);
        __global const int *seen = mask + b * p.tk + j0;
        if (p.has_mask && !att_any(seen, rows))
            continue;
        att_load_rows(tile, kv_head + p.k_offset + j0 * p.kv_stride, p.kv_stride, rows, p.dim);
        att_dot(s, query, tile, rows, p.dim, width);
        if (p.has_bias)
            att_bias_window(window, rel + head * p.span, (int)(j0 + p.rel_origin - first), -1, p.span);
        for (uint h = 0; h < width; h += ATT_HALF) {
            softmax_tile(s + h, row_max + h, row_sum + h, shrink + h, window + h, seen, rows, first + h, j0, &p);
            if (p.threshold != 0u) {
                att_keep_keys(keep, rows, plane, i0 + h, j0, &p, c);
                for (uint r = 0; r < rows; ++r)
                    sy_put(vload16(0, s + h + r * ATT_LANES) * vload16(0, keep + r * ATT_LANES), s + h + r * ATT_LANES);
            }
        }
        att_load_down(tile, kv_head + p.v_offset + j0 * p.kv_stride, p.kv_stride, rows, p.dim);
        att_shrink(sum, shrink, att_weights(s, rows, width), tile, rows, p.dim, width);
    }

    float stats[ATT_LANES];
    for (uint h = 0; h < width; h += ATT_HALF) {
        const float16 total = vload16(0, row_sum + h), top = vload16(0, row_max + h);
        const float16 inverse = total > 0.0f ? 1.0f / total : (float16)0.0f;
        for (uint d = 0; d < p.dim; ++d)
            sy_put(vload16(0, sum + d * ATT_LANES + h) * inverse, sum + d * ATT_LANES + h);
        sy_put(total > 0.0f ? top + log(total) : (float16)ATT_NONE, stats + h);
    }
    att_store_lanes(sum, o + ((b * p.tq + i0) * p.heads + head) * p.dim, p.heads * p.dim, lanes, p.dim);
    for (uint r = 0; r < lanes; ++r)
        lse[(b * p.heads + head) * p.tq + i0 + r] = stats[r];
}
#endif
