// SPDX-License-Identifier: Apache-2.0
// attention_dq_lanes.cl.h: the variants `blocks` and `dot` of attention_dq for CPUs (WG is 1): dq = ds·k with ds = p∘(dp − delta),
// p = exp(score − lse), dp = dropout(do·vᵀ), and the bias gradient
// drel[b][block][h][x] = Σ ds[i][j] over the block's 16 query rows and the keys with j − i − position + rel_origin = x.
//
//   q t [B·tq, q_stride]   kv t [B·tk, kv_stride]   rel f [H, span]   mask i [B, tk]   ld f [B, H, tq, 2] (lse, delta)
//   do t [B·tq, H·dim]     c step constants         dq t: the H·dim columns of q only, with q's stride and offset
//   drel f [B, ceil(tq/16), H, span]: every element is written; has_bias only
//
// Launch:      a work-group does 32 query rows of one head of one sequence; blocks of rows fastest.
// Determinism: keys in order, tiles of ATT_TILE; a diagonal is summed by ascending query row, tile by tile.
#ifndef SY_ATTENTION_DQ_LANES_CL_H
#define SY_ATTENTION_DQ_LANES_CL_H
#include "common.cl.h"
#include "attention_blocks.cl.h"

// Rows of ds with as many zeros on both sides: what a diagonal that is not 16 long adds.
#define SHEAR_ROW (3u * ATT_HALF)

// s becomes ds in 16 lanes.
ATT_INLINE void tile_ds(float *s, const float *dp, const float *keep, const float *window, __global const int *mask,
                        float16 row_lse, float16 delta, uint rows, uint query, uint j0, const struct sy_attention_args *p)
{
    const bool diagonal = p->causal && j0 + rows - 1u > query;
    for (uint r = 0; r < rows; ++r) {
        const float16 score =
            att_masked_key(vload16(0, s + r * ATT_LANES), window, mask, r, query, j0 + r, diagonal, p);
        const float16 x = score - row_lse, factor = p->threshold != 0u ? vload16(0, keep + r * ATT_LANES) : 1.0f;
        sy_put(ATT_DS((float16)0.0f, x, sy_exp(x), vload16(0, dp + r * ATT_LANES) * factor, delta), s + r * ATT_LANES);
    }
}

// Adds a tile's diagonals in 16 lanes to their block's row of drel; `at` is the index of row 0, lane 0. The diagonal
// at + 31 − y is the sum of ds[r][y − 31 + r] over the rows.
ATT_INLINE void add_diagonals(__global float *drel, float *shear, const float *ds, uint rows, int at, uint span)
{
    for (uint r = 0; r < rows; ++r)
        sy_put(vload16(0, ds + r * ATT_LANES), shear + r * SHEAR_ROW + ATT_HALF);
    for (uint y = 0; y < ATT_TILE + ATT_HALF; y += 16u) {
        const uint low = y + 15u < ATT_TILE - 1u ? ATT_TILE - 1u - 15u - y : 0u; // rows that reach these diagonals
        const uint high = min(rows, ATT_TILE - 1u + ATT_HALF - y);
        float16 total = 0.0f;
        for (uint r = low; r < high; ++r)
            total += vload16(0, shear + r * SHEAR_ROW + ATT_HALF + y + r - (ATT_TILE - 1u));
        const int x = at + (int)(ATT_TILE - 1u - y); // of the first of them; the others lie before it
        if (x - 15 >= 0 && x < (int)span) {
            __global float *to = drel + (x - 15);
            sy_put(vload16(0, to) + total.sFEDCBA9876543210, to);
        } else {
            float each[16];
            sy_put(total, each);
            for (int e = 0; e < 16; ++e)
                if (x - e >= 0 && x - e < (int)span)
                    drel[x - e] += each[e];
        }
    }
}

ATT_INLINE void att_kernel(__global const T *restrict q, __global const T *restrict kv,
                           __global const float *restrict rel, __global const int *restrict mask,
                           __global const float *restrict ld, __global const T *restrict dout,
                           __constant struct sy_step *c, __global T *restrict dq, __global float *restrict drel,
                           const struct sy_attention_args p)
{
    FACTOR query[ATT_FACTORS(SY_ATTENTION_MAX_DIM) * ATT_LANES], grad[ATT_FACTORS(SY_ATTENTION_MAX_DIM) * ATT_LANES];
    FACTOR tile[ATT_TILE_SIZE];
    float sum[SY_ATTENTION_MAX_DIM * ATT_LANES];
    float s[ATT_TILE * ATT_LANES], dp[ATT_TILE * ATT_LANES], keep[ATT_TILE * ATT_LANES], shear[ATT_TILE * SHEAR_ROW];
    float window[ATT_WINDOW], row_lse[ATT_LANES], delta[ATT_LANES];
    const uint blocks = (p.tq + ATT_LANES - 1u) / ATT_LANES, rel_blocks = (p.tq + ATT_HALF - 1u) / ATT_HALF;
    const uint head = GROUP_ID / blocks % p.heads, b = GROUP_ID / blocks / p.heads;
    const uint i0 = GROUP_ID % blocks * ATT_LANES, lanes = min(ATT_LANES, p.tq - i0);
    const uint width = lanes > ATT_HALF ? ATT_LANES : ATT_HALF;
    const uint position = p.decode ? c->position : 0u;
    const uint first = i0 + position; // of the queries, as the keys count
    const uint keys = p.causal ? min(p.tk, first + lanes) : p.tk;
    const uint plane = SY_ATTENTION_PLANE(p, c->sequence + b, head);
    const uint q_at = (b * p.tq + i0) * p.q_stride + p.q_offset + head * p.dim;
    const uint drel_step = p.heads * p.span; // from one block of 16 rows to the next
    __global const T *kv_head = kv + b * p.tk * p.kv_stride + head * p.dim;
    __global float *drel_row = drel + ((b * rel_blocks + i0 / ATT_HALF) * p.heads + head) * p.span;

    att_load_lanes(query, q + q_at, p.q_stride, lanes, p.dim, width);
    att_load_lanes(grad, dout + ((b * p.tq + i0) * p.heads + head) * p.dim, p.heads * p.dim, lanes, p.dim, width);
    att_clear(sum, att_padded(p.dim));
    for (uint r = 0; r < ATT_LANES; ++r) {
        const uint at = ((b * p.heads + head) * p.tq + i0 + r) * 2u;
        row_lse[r] = r < lanes ? ld[at] : ATT_ABSENT;
        delta[r] = r < lanes ? ld[at + 1u] : 0.0f;
    }
    for (uint i = 0; i < ATT_TILE * SHEAR_ROW; i += 16u)
        sy_put((float16)0.0f, shear + i);

    for (uint j0 = 0; j0 < keys; j0 += ATT_TILE) {
        const uint rows = min(ATT_TILE, keys - j0);
        const int at = (int)(j0 + p.rel_origin - first);
        __global const int *seen = mask + b * p.tk + j0;
        // Here, not before the loop: PoCL 7 runs all that follows a branch there twice (docs/drivers.md).
        const uint biased = p.has_bias ? width : 0u, fresh = j0 == 0 ? p.span : 0u;
        for (uint h = 0; h < biased; h += ATT_HALF)
            for (uint x = 0; x < fresh; ++x)
                drel_row[h / ATT_HALF * drel_step + x] = 0.0f;
        if (p.has_mask && !att_any(seen, rows))
            continue;
        att_load_rows(tile, kv_head + p.v_offset + j0 * p.kv_stride, p.kv_stride, rows, p.dim);
        att_dot(dp, grad, tile, rows, p.dim, width);
        att_load_rows(tile, kv_head + p.k_offset + j0 * p.kv_stride, p.kv_stride, rows, p.dim);
        att_dot(s, query, tile, rows, p.dim, width);
        if (p.has_bias)
            att_bias_window(window, rel + head * p.span, at, -1, p.span);
        for (uint h = 0; h < width; h += ATT_HALF) {
            if (p.threshold != 0u)
                att_keep_keys(keep, rows, plane, i0 + h, j0, &p, c);
            tile_ds(s + h, dp + h, keep, window + h, seen, vload16(0, row_lse + h), vload16(0, delta + h), rows, first + h,
                    j0, &p);
        }
        for (uint h = 0; h < biased; h += ATT_HALF)
            add_diagonals(drel_row + h / ATT_HALF * drel_step, shear, s + h, rows, at - (int)h, p.span);
        ATT_LOAD_AGAIN(tile, kv_head + p.k_offset + j0 * p.kv_stride, p.kv_stride, rows, p.dim);
        att_accumulate(sum, att_weights(s, rows, width), tile, rows, p.dim, width);
    }
    att_store_lanes(sum, dq + q_at, p.q_stride, lanes, p.dim);
}
#endif
