// SPDX-License-Identifier: Apache-2.0
// attention_dkv: dv = dropout(p)ᵀ·do and dk = dsᵀ·q, with ds = p∘(dp − delta), p = exp(score − lse), dp = dropout(do·vᵀ).
//
//   q t [B·tq, q_stride]   kv t [B·tk, kv_stride]   rel f [H, span]   mask i [B, tk]   ld f [B, H, tq, 2] (lse, delta)
//   do t [B·tq, H·dim]     c step constants
//   dkv t: the H·dim columns at k_offset and those at v_offset, with kv_stride; all others keep their value
//
// Launch:      WG == 1: a work-group does 16 keys of one head of one sequence. WG > 1: 32 keys, and either their dk or
//              their dv, which halves the registers; dk groups of a block follow its dv group.
// Determinism: query rows in order, tiles of 32.
#include "common.cl.h"
#include "attention.cl.h"

#if WG == 1
// keep[r][lane]: dropout factor of query row i0 + r and key j0 + lane. One Philox call on 16 counters serves 4 query rows.
ATT_INLINE void keep_queries(float *keep, uint rows, uint plane, uint i0, uint j0, const struct sy_attention_args *p,
                                __constant struct sy_step *c)
{
    const uint16 quad = ATT_LANE_IDS & 3u, row = ATT_LANE_IDS >> 2;
    for (uint r = 0; r < rows; r += 4u) {
        const struct att_bits bits = att_philox(j0 / 4u + quad, i0 + r + row, (uint16)p->stream, (uint16)plane,
                                                c->seed_lo, c->seed_hi ^ c->step);
        float words[4 * 16]; // [key % 4][query row][key / 4]
        vstore16(att_kept(bits.x, p->threshold, p->scale), 0, words);
        vstore16(att_kept(bits.y, p->threshold, p->scale), 1, words);
        vstore16(att_kept(bits.z, p->threshold, p->scale), 2, words);
        vstore16(att_kept(bits.w, p->threshold, p->scale), 3, words);
        for (uint e = 0; e < 64u; ++e)
            keep[r * ATT_LANES + e] = words[e % 4u * 16u + e / 4u];
    }
}

// s becomes p with dropout, dp becomes ds. Lanes are keys; first: query row 0 of the tile, as the keys count;
// stats: (lse, delta) of its rows; seen: 0 in the lanes of masked keys.
ATT_INLINE void tile_grads(float *s, float *dp, const float *keep, const float *window, const __global float *stats,
                              uint rows, uint first, uint j0, int16 seen, const struct sy_attention_args *p)
{
    for (uint r = 0; r < rows; ++r) {
        float16 x = vload16(r, s);
        if (p->has_bias)
            x += vload16(0, window + (ATT_TILE - 1u - r));
        x = select((float16)ATT_MASKED, x, seen);
        if (p->causal)
            x = select(x, (float16)ATT_MASKED, ATT_LANE_IDS + j0 > (uint16)(first + r));
        x -= stats[2u * r];
        const float16 prob = att_exp(x), factor = vload16(r, keep);
        vstore16(prob * factor, r, s);
        vstore16(ATT_DS((float16)0.0f, x, prob, vload16(r, dp) * factor, stats[2u * r + 1u]), r, dp);
    }
}

KERNEL void attention_dkv(__global const T *restrict q, __global const T *restrict kv, __global const float *restrict rel,
                          __global const int *restrict mask, __global const float *restrict ld,
                          __global const T *restrict dout, __constant struct sy_step *c, __global T *restrict dkv,
                          const struct sy_attention_args p)
{
    float key[SY_ATTENTION_MAX_DIM * ATT_LANES], value[SY_ATTENTION_MAX_DIM * ATT_LANES];
    float dk[SY_ATTENTION_MAX_DIM * ATT_LANES], dv[SY_ATTENTION_MAX_DIM * ATT_LANES];
    float queries[ATT_TILE * ATT_PITCH], grads[ATT_TILE * ATT_PITCH];
    float s[ATT_TILE * ATT_LANES], dp[ATT_TILE * ATT_LANES], keep[ATT_TILE * ATT_LANES];
    float window[ATT_TILE + ATT_LANES];
    const uint blocks = (p.tk + ATT_LANES - 1u) / ATT_LANES;
    const uint head = GROUP_ID / blocks % p.heads, b = GROUP_ID / blocks / p.heads;
    const uint j0 = GROUP_ID % blocks * ATT_LANES, lanes = min(ATT_LANES, p.tk - j0);
    const uint position = p.decode ? c->position : 0u, plane = (c->sequence + b) * p.heads + head;
    const uint kv_at = (b * p.tk + j0) * p.kv_stride + head * p.dim;
    __global const T *q_head = q + b * p.tq * p.q_stride + p.q_offset + head * p.dim;
    __global const T *do_head = dout + (b * p.tq * p.heads + head) * p.dim;
    __global const float *stats = ld + (b * p.heads + head) * p.tq * 2u;

    int seen_lanes[ATT_LANES], any = 0;
    for (uint r = 0; r < ATT_LANES; ++r) {
        seen_lanes[r] = r < lanes && (!p.has_mask || mask[b * p.tk + j0 + r] != 0) ? -1 : 0;
        any |= seen_lanes[r];
    }
    att_load_lanes(key, kv + kv_at + p.k_offset, p.kv_stride, lanes, p.dim);
    att_load_lanes(value, kv + kv_at + p.v_offset, p.kv_stride, lanes, p.dim);
    for (uint d = 0; d < att_padded(p.dim); ++d) {
        vstore16((float16)0.0f, d, dk);
        vstore16((float16)0.0f, d, dv);
    }
    for (uint r = 0; r < ATT_TILE; ++r)
        vstore16((float16)1.0f, r, keep);

    for (uint i0 = 0; i0 < p.tq && any; i0 += ATT_TILE) {
        const uint rows = min(ATT_TILE, p.tq - i0);
        if (p.causal && i0 + position + rows <= j0)
            continue;
        att_load_rows(queries, q_head + i0 * p.q_stride, p.q_stride, rows, p.dim);
        att_load_rows(grads, do_head + i0 * p.heads * p.dim, p.heads * p.dim, rows, p.dim);
        att_dot(s, key, queries, rows, p.dim);
        att_dot(dp, value, grads, rows, p.dim);
        if (p.has_bias)
            att_bias_window(window, rel + head * p.span, (int)(j0 + p.rel_origin - i0 - position), 1, p.span);
        if (p.threshold != 0u)
            keep_queries(keep, rows, plane, i0, j0, &p, c);
        tile_grads(s, dp, keep, window, stats + 2u * i0, rows, i0 + position, j0, vload16(0, seen_lanes), &p);
        att_accumulate(dv, s, grads, rows, p.dim);
        att_accumulate(dk, dp, queries, rows, p.dim);
    }
    att_store_lanes(dk, dkv + kv_at + p.k_offset, p.kv_stride, lanes, p.dim);
    att_store_lanes(dv, dkv + kv_at + p.v_offset, p.kv_stride, lanes, p.dim);
}
#else
// dk += dsᵀ · q or dv += pᵀ · do in one chunk of dimensions.
#define ADD_CHUNK(chunk)                                                                                                \
    if ((chunk) * ATT_TILE < p.dim)                                                                                     \
        att_load_tile(side_b, factor_tile + (chunk) * ATT_TILE, factor_stride, rows, p.dim - (chunk) * ATT_TILE, lid);  \
    BARRIER();                                                                                                          \
    for (uint t = 0; t < ATT_BLOCKS; ++t)                                                                               \
        if (ATT_BUSY(t) && (chunk) * ATT_TILE < p.dim)                                                                  \
            ATT_MUL_T(sum[t][chunk], weights, side_b, rows, t);                                                         \
    BARRIER();

MANY_SUMS
KERNEL void attention_dkv(__global const T *restrict q, __global const T *restrict kv, __global const float *restrict rel,
                          __global const int *restrict mask, __global const float *restrict ld,
                          __global const T *restrict dout, __constant struct sy_step *c, __global T *restrict dkv,
                          const struct sy_attention_args p)
{
    __local float side_a[ATT_SIZE], side_b[ATT_SIZE], weights[ATT_SIZE];
    const uint lid = LOCAL_ID;
    const uint blocks = (p.tk + ATT_TILE - 1u) / ATT_TILE;
    const bool want_k = GROUP_ID % 2u == 1u;
    const uint head = GROUP_ID / 2u / blocks % p.heads, b = GROUP_ID / 2u / blocks / p.heads;
    const uint j0 = GROUP_ID / 2u % blocks * ATT_TILE, lanes = min(ATT_TILE, p.tk - j0);
    const uint position = p.decode ? c->position : 0u;
    const uint kv_at = (b * p.tk + j0) * p.kv_stride + head * p.dim;
    __global const T *q_head = q + b * p.tq * p.q_stride + p.q_offset + head * p.dim;
    __global const T *do_head = dout + (b * p.tq * p.heads + head) * p.dim;
    __global const float *stats = ld + (b * p.heads + head) * p.tq * 2u;
    // Tiles of queries that see none of these keys are skipped.
    const uint skip = p.causal && j0 > position ? (j0 - position) / ATT_TILE * ATT_TILE : 0u;

    float sum[ATT_BLOCKS][ATT_CHUNKS][16];
    for (uint t = 0; t < ATT_BLOCKS; ++t)
#pragma unroll
        for (uint chunk = 0; chunk < ATT_CHUNKS; ++chunk)
#pragma unroll
            for (uint x = 0; x < 16u; ++x)
                sum[t][chunk][x] = 0.0f;

    for (uint i0 = skip; i0 < p.tq; i0 += ATT_TILE) {
        const uint rows = min(ATT_TILE, p.tq - i0);
        float s[ATT_BLOCKS][16], dp[ATT_BLOCKS][16];
        for (uint t = 0; t < ATT_BLOCKS; ++t)
#pragma unroll
            for (uint x = 0; x < 16u; ++x)
                s[t][x] = dp[t][x] = 0.0f;
        for (uint d0 = 0; d0 < p.dim; d0 += ATT_TILE) {
            const uint cols = p.dim - d0;
            att_load_tile(side_a, q_head + i0 * p.q_stride + d0, p.q_stride, rows, cols, lid);
            att_load_tile(side_b, kv + kv_at + p.k_offset + d0, p.kv_stride, lanes, cols, lid);
            BARRIER();
            for (uint t = 0; t < ATT_BLOCKS; ++t)
                if (ATT_BUSY(t))
                    ATT_DOT(s[t], side_a, side_b, min(ATT_TILE, p.dim - d0), t);
            BARRIER();
            if (want_k) {
                att_load_tile(side_a, do_head + i0 * p.heads * p.dim + d0, p.heads * p.dim, rows, cols, lid);
                att_load_tile(side_b, kv + kv_at + p.v_offset + d0, p.kv_stride, lanes, cols, lid);
            }
            BARRIER();
            for (uint t = 0; t < ATT_BLOCKS; ++t)
                if (ATT_BUSY(t) && want_k)
                    ATT_DOT(dp[t], side_a, side_b, min(ATT_TILE, p.dim - d0), t);
            BARRIER();
        }
        if (p.threshold != 0u)
            att_keep_tile(side_b, (c->sequence + b) * p.heads + head, i0, j0, lid, &p, c);
        BARRIER();
        for (uint t = 0; t < ATT_BLOCKS; ++t)
#pragma unroll
            for (uint x = 0; x < 16u; ++x) {
                const uint r = ATT_ROW(t, x), j = ATT_COL(t, x), cell = r * ATT_PITCH + j;
                if (ATT_BUSY(t)) {
                    const uint stats_at = 2u * min(i0 + r, p.tq - 1u); // p is 0 in rows that do not exist
                    const float row_lse = stats[stats_at], delta = stats[stats_at + 1u];
                    const float above = att_score(s[t][x], i0 + r, j0 + j, position, rel + head * p.span,
                                                  mask + b * p.tk, &p) - row_lse;
                    const float prob = exp(above), factor = p.threshold != 0u ? side_b[cell] : 1.0f;
                    weights[cell] = want_k ? ATT_DS(0.0f, above, prob, dp[t][x] * factor, delta) : prob * factor;
                }
            }
        BARRIER();
        const uint factor_stride = want_k ? p.q_stride : p.heads * p.dim;
        __global const T *factor_tile = (want_k ? q_head : do_head) + i0 * factor_stride; // dk = dsᵀ·q, dv = pᵀ·do
        ATT_EACH_CHUNK(ADD_CHUNK)
    }

    for (uint t = 0; t < ATT_BLOCKS; ++t)
#pragma unroll
        for (uint chunk = 0; chunk < ATT_CHUNKS; ++chunk)
#pragma unroll
            for (uint x = 0; x < 16u; ++x) {
                const uint r = ATT_ROW(t, x), d = chunk * ATT_TILE + ATT_COL(t, x);
                if (ATT_BUSY(t) && r < lanes && d < p.dim)
                    T_ST(dkv, kv_at + (want_k ? p.k_offset : p.v_offset) + r * p.kv_stride + d, sum[t][chunk][x]);
            }
}
#endif
