// SPDX-License-Identifier: Apache-2.0
// attention_dkv_lanes.cl.h: the variants `blocks` and `dot` of attention_dkv for CPUs (WG is 1): dv = dropout(p)ᵀ·do and
// dk = dsᵀ·q, with ds = p∘(dp − delta), p = exp(score − lse), dp = dropout(do·vᵀ).
//
//   q t [B·tq, q_stride]   kv t [B·tk, kv_stride]   rel f [H, span]   mask i [B, tk]   ld f [B, H, tq, 2] (lse, delta)
//   do t [B·tq, H·dim]     c step constants
//   dkv t: the H·dim columns at k_offset and those at v_offset, with kv_stride; all others keep their value
//
// Launch:      a work-group does 32 keys of one head of one sequence.
// Determinism: query rows in order, tiles of ATT_TILE.
#ifndef SY_ATTENTION_DKV_LANES_CL_H
#define SY_ATTENTION_DKV_LANES_CL_H
#include "common.cl.h"
#include "attention_blocks.cl.h"

ATT_INLINE uint16 zip_lo(uint16 a, uint16 b) { return as_uint16(att_zip_lo(as_float16(a), as_float16(b))); }
ATT_INLINE uint16 zip_hi(uint16 a, uint16 b) { return as_uint16(att_zip_hi(as_float16(a), as_float16(b))); }

// keep[r][lane]: dropout factor of query row i0 + r and key j0 + lane, for 16 lanes. One Philox call yields four keys;
// 16 of them side by side are 4 rows of 16 keys, once their words are interleaved.
ATT_INLINE void keep_queries(float *keep, uint rows, uint plane, uint i0, uint j0, const struct sy_attention_args *p,
                             __constant struct sy_step *c)
{
    for (uint r = 0; r < rows; r += 4u, keep += 4u * ATT_LANES) {
        const struct att_bits b =
            att_philox(j0 / 4u + (ATT_LANE_IDS & 3u), i0 + r + (ATT_LANE_IDS >> 2), (uint16)p->stream, (uint16)plane,
                       c->seed_lo, c->seed_hi ^ c->step);
        const uint16 even_lo = zip_lo(b.x, b.z), odd_lo = zip_lo(b.y, b.w);
        const uint16 even_hi = zip_hi(b.x, b.z), odd_hi = zip_hi(b.y, b.w);
        sy_put(att_kept(zip_lo(even_lo, odd_lo), p->threshold, p->scale), keep);
        sy_put(att_kept(zip_hi(even_lo, odd_lo), p->threshold, p->scale), keep + ATT_LANES);
        sy_put(att_kept(zip_lo(even_hi, odd_hi), p->threshold, p->scale), keep + 2u * ATT_LANES);
        sy_put(att_kept(zip_hi(even_hi, odd_hi), p->threshold, p->scale), keep + 3u * ATT_LANES);
    }
}

// s becomes p with dropout, dp becomes ds, in 16 lanes, which are keys from j0 on. first: query row 0 of the tile, as
// the keys count; stats: (lse, delta) of its rows; seen: 0 in the lanes of masked keys.
ATT_INLINE void tile_grads(float *s, float *dp, const float *keep, const float *window, __global const float *stats,
                           uint rows, uint first, uint j0, int16 seen, const struct sy_attention_args *p)
{
    for (uint r = 0; r < rows; ++r) {
        float16 x = vload16(0, s + r * ATT_LANES);
        if (p->has_bias)
            x += vload16(0, window + (ATT_TILE - 1u - r));
        x = select((float16)ATT_MASKED, x, seen);
        if (p->causal)
            x = select(x, (float16)ATT_MASKED, ATT_LANE_IDS + j0 > (uint16)(first + r));
        x -= stats[2u * r];
        const float16 prob = sy_exp(x), factor = p->threshold != 0u ? vload16(0, keep + r * ATT_LANES) : 1.0f;
        sy_put(prob * factor, s + r * ATT_LANES);
        sy_put(ATT_DS((float16)0.0f, x, prob, vload16(0, dp + r * ATT_LANES) * factor, stats[2u * r + 1u]), dp + r * ATT_LANES);
    }
}

ATT_INLINE void att_kernel(__global const T *restrict q, __global const T *restrict kv,
                           __global const float *restrict rel, __global const int *restrict mask,
                           __global const float *restrict ld, __global const T *restrict dout,
                           __constant struct sy_step *c, __global T *restrict dkv, const struct sy_attention_args p)
{
    FACTOR key[ATT_FACTORS(SY_ATTENTION_MAX_DIM) * ATT_LANES], value[ATT_FACTORS(SY_ATTENTION_MAX_DIM) * ATT_LANES];
    FACTOR queries[ATT_TILE_SIZE], grads[ATT_TILE_SIZE];
    float dk[SY_ATTENTION_MAX_DIM * ATT_LANES], dv[SY_ATTENTION_MAX_DIM * ATT_LANES];
    float s[ATT_TILE * ATT_LANES], dp[ATT_TILE * ATT_LANES], keep[ATT_TILE * ATT_LANES];
    float window[ATT_WINDOW];
    int seen[ATT_LANES], any = 0;
    const uint blocks = (p.tk + ATT_LANES - 1u) / ATT_LANES;
    const uint head = GROUP_ID / blocks % p.heads, b = GROUP_ID / blocks / p.heads;
    const uint j0 = GROUP_ID % blocks * ATT_LANES, lanes = min(ATT_LANES, p.tk - j0);
    const uint width = lanes > ATT_HALF ? ATT_LANES : ATT_HALF;
    const uint position = p.decode ? c->position : 0u, plane = SY_ATTENTION_PLANE(p, c->sequence + b, head);
    const uint kv_at = (b * p.tk + j0) * p.kv_stride + head * p.dim;
    __global const T *q_head = q + b * p.tq * p.q_stride + p.q_offset + head * p.dim;
    __global const T *do_head = dout + (b * p.tq * p.heads + head) * p.dim;
    __global const float *stats = ld + (b * p.heads + head) * p.tq * 2u;

    for (uint r = 0; r < ATT_LANES; ++r) {
        seen[r] = r < lanes && (!p.has_mask || mask[b * p.tk + j0 + r] != 0) ? -1 : 0;
        any |= seen[r];
    }
    att_load_lanes(key, kv + kv_at + p.k_offset, p.kv_stride, lanes, p.dim, width);
    att_load_lanes(value, kv + kv_at + p.v_offset, p.kv_stride, lanes, p.dim, width);
    att_clear(dk, att_padded(p.dim));
    att_clear(dv, att_padded(p.dim));

    for (uint i0 = 0; i0 < p.tq && any; i0 += ATT_TILE) {
        const uint rows = min(ATT_TILE, p.tq - i0);
        if (p.causal && i0 + position + rows <= j0)
            continue;
        att_load_rows(queries, q_head + i0 * p.q_stride, p.q_stride, rows, p.dim);
        att_load_rows(grads, do_head + i0 * p.heads * p.dim, p.heads * p.dim, rows, p.dim);
        att_dot(s, key, queries, rows, p.dim, width);
        att_dot(dp, value, grads, rows, p.dim, width);
        if (p.has_bias)
            att_bias_window(window, rel + head * p.span, (int)(j0 + p.rel_origin - i0 - position), 1, p.span);
        for (uint h = 0; h < width; h += ATT_HALF) {
            if (p.threshold != 0u)
                keep_queries(keep, rows, plane, i0, j0 + h, &p, c);
            tile_grads(s + h, dp + h, keep, window + h, stats + 2u * i0, rows, i0 + position, j0 + h,
                       vload16(0, seen + h), &p);
        }
        ATT_LOAD_AGAIN(grads, do_head + i0 * p.heads * p.dim, p.heads * p.dim, rows, p.dim);
        ATT_LOAD_AGAIN(queries, q_head + i0 * p.q_stride, p.q_stride, rows, p.dim);
        att_accumulate(dv, att_weights(s, rows, width), grads, rows, p.dim, width);
        att_accumulate(dk, att_weights(dp, rows, width), queries, rows, p.dim, width);
    }
    att_store_lanes(dk, dkv + kv_at + p.k_offset, p.kv_stride, lanes, p.dim);
    att_store_lanes(dv, dkv + kv_at + p.v_offset, p.kv_stride, lanes, p.dim);
}
#endif
