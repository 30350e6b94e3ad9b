// SPDX-License-Identifier: Apache-2.0
// attention_dq: dq = ds·k with ds = p∘(dp − delta), p = exp(score − lse), dp = dropout(do·vᵀ); and the bias gradient
// drel[b][block][h][x] = Σ ds[i][j] over the block's 16 query rows and the keys with j − i − position + rel_origin = x.
//
//   q t [B·tq, q_stride]   kv t [B·tk, kv_stride]   rel f [H, span]   mask i [B, tk]   ld f [B, H, tq, 2] (lse, delta)
//   do t [B·tq, H·dim]     c step constants         dq t: the H·dim columns of q only, with q's stride and offset
//   drel f [B, ceil(tq/16), H, span]: every element is written; has_bias only
//
// Launch:      a work-group does 32 query rows of one head of one sequence; blocks of rows fastest.
// Determinism: keys in order, tiles of 32; a diagonal is summed by ascending query row, tile by tile.
#include "common.cl.h"
#include "attention.cl.h"

// Diagonals of one tile. A 16-row block's diagonal x = j − i (−15 … 31) ends in this tile when x ≤ 16; the other 15
// reach into the next tile and wait in `carry`. Two carries, used in turn, keep readers and writers apart.
#define REL_ROWS ((uint)SY_REL_BLOCK)
#define DIAGONALS (ATT_TILE + REL_ROWS - 1u)
#define BLOCKS (ATT_TILE / REL_ROWS)
#define OPEN (REL_ROWS - 1u) // diagonals that cross into the next tile

// dq += ds · k in one chunk of dimensions.
#define ADD_CHUNK(chunk)                                                                                         \
    if ((chunk) * ATT_TILE < p.dim)                                                                              \
        att_load_tile(side_b, k_tile + (chunk) * ATT_TILE, p.kv_stride, rows, p.dim - (chunk) * ATT_TILE, lid);  \
    BARRIER();                                                                                                   \
    for (uint t = 0; t < ATT_BLOCKS; ++t)                                                                        \
        if (ATT_BUSY(t) && (chunk) * ATT_TILE < p.dim)                                                           \
            ATT_MUL(sum[t][chunk], ds, side_b, rows, t);                                                         \
    BARRIER();

MANY_SUMS
KERNEL void attention_dq(__global const T *restrict q, __global const T *restrict kv, __global const float *restrict rel,
                         __global const int *restrict mask, __global const float *restrict ld,
                         __global const T *restrict dout, __constant struct sy_step *c, __global T *restrict dq,
                         __global float *restrict drel, const struct sy_attention_args p)
{
    __local float side_a[ATT_SIZE], side_b[ATT_SIZE], ds[ATT_SIZE], carry[2 * BLOCKS * OPEN];
    const uint lid = LOCAL_ID;
    const uint blocks = (p.tq + ATT_TILE - 1u) / ATT_TILE;
    const uint head = GROUP_ID / blocks % p.heads, b = GROUP_ID / blocks / p.heads;
    const uint i0 = GROUP_ID % blocks * ATT_TILE, lanes = min(ATT_TILE, p.tq - i0);
    const uint position = p.decode ? c->position : 0u;
    const uint keys = p.causal ? min(p.tk, i0 + position + lanes) : p.tk;
    const uint tiles = (keys + ATT_TILE - 1u) / ATT_TILE;
    const uint q_at = (b * p.tq + i0) * p.q_stride + p.q_offset + head * p.dim;
    const uint stats_at = ((b * p.heads + head) * p.tq + i0) * 2u;
    __global const T *do_head = dout + ((b * p.tq + i0) * p.heads + head) * p.dim;
    __global const T *kv_head = kv + b * p.tk * p.kv_stride + head * p.dim;

    float sum[ATT_BLOCKS][ATT_CHUNKS][16];
    for (uint t = 0; t < ATT_BLOCKS; ++t)
#pragma unroll
        for (uint chunk = 0; chunk < ATT_CHUNKS; ++chunk)
#pragma unroll
            for (uint x = 0; x < 16u; ++x)
                sum[t][chunk][x] = 0.0f;
    for (uint e = lid; e < 2u * BLOCKS * OPEN; e += WG)
        carry[e] = 0.0f;

    for (uint step = 0; step < tiles; ++step) {
        const uint j0 = step * ATT_TILE, rows = min(ATT_TILE, p.tk - j0);
        float s[ATT_BLOCKS][16], dp[ATT_BLOCKS][16];
        for (uint t = 0; t < ATT_BLOCKS; ++t)
#pragma unroll
            for (uint x = 0; x < 16u; ++x)
                s[t][x] = dp[t][x] = 0.0f;
        for (uint d0 = 0; d0 < p.dim; d0 += ATT_TILE) {
            const uint cols = p.dim - d0;
            att_load_tile(side_a, do_head + d0, p.heads * p.dim, lanes, cols, lid);
            att_load_tile(side_b, kv_head + p.v_offset + j0 * p.kv_stride + d0, p.kv_stride, rows, cols, lid);
            BARRIER();
            for (uint t = 0; t < ATT_BLOCKS; ++t)
                if (ATT_BUSY(t))
                    ATT_DOT(dp[t], side_a, side_b, min(ATT_TILE, p.dim - d0), t);
            BARRIER();
            att_load_tile(side_a, q + q_at + d0, p.q_stride, lanes, cols, lid);
            att_load_tile(side_b, kv_head + p.k_offset + j0 * p.kv_stride + d0, p.kv_stride, rows, cols, lid);
            BARRIER();
            for (uint t = 0; t < ATT_BLOCKS; ++t)
                if (ATT_BUSY(t))
                    ATT_DOT(s[t], side_a, side_b, min(ATT_TILE, p.dim - d0), t);
            BARRIER();
        }
        if (p.threshold != 0u)
            att_keep_tile(side_b, SY_ATTENTION_PLANE(p, c->sequence + b, head), i0, j0, lid, &p, c);
        BARRIER();
        for (uint t = 0; t < ATT_BLOCKS; ++t)
#pragma unroll
            for (uint x = 0; x < 16u; ++x) {
                const uint r = ATT_ROW(t, x), j = ATT_COL(t, x), cell = r * ATT_PITCH + j;
                if (ATT_BUSY(t)) {
                    const uint row_at = stats_at + 2u * min(r, lanes - 1u); // p is 0 in rows that do not exist
                    const float row_lse = ld[row_at], delta = ld[row_at + 1u];
                    const float score =
                        att_score(s[t][x], i0 + r, j0 + j, position, rel + head * p.span, mask + b * p.tk, &p);
                    const float factor = p.threshold != 0u ? side_b[cell] : 1.0f;
                    ds[cell] = ATT_DS(0.0f, score - row_lse, exp(score - row_lse), dp[t][x] * factor, delta);
                }
            }
        BARRIER();
        for (uint e = lid; e < BLOCKS * DIAGONALS && p.has_bias; e += WG) {
            const uint part = e / DIAGONALS, n = e % DIAGONALS; // n = x + 15
            const uint low = (uint)max((int)OPEN - (int)n, 0), high = min(REL_ROWS, DIAGONALS - n); // its rows here
            float total = n < OPEN ? carry[(step % 2u * BLOCKS + part) * OPEN + n] : 0.0f;
            for (uint r = low; r < high; ++r)
                total += ds[(part * REL_ROWS + r) * ATT_PITCH + (r + n - OPEN)];
            const uint i = i0 + part * REL_ROWS;
            const uint x = j0 + n + p.rel_origin - (OPEN + i + position); // wraps when below 0: then it is ≥ span
            if (n >= ATT_TILE)
                carry[((step + 1u) % 2u * BLOCKS + part) * OPEN + n - ATT_TILE] = total;
            if ((n < ATT_TILE || step + 1u == tiles) && i < p.tq && x < p.span)
                drel[((b * ((p.tq + REL_ROWS - 1u) / REL_ROWS) + i / REL_ROWS) * p.heads + head) * p.span + x] =
                    total;
        }
        __global const T *k_tile = kv_head + p.k_offset + j0 * p.kv_stride;
        ATT_EACH_CHUNK(ADD_CHUNK)
    }

    for (uint t = 0; t < ATT_BLOCKS; ++t)
#pragma unroll
        for (uint chunk = 0; chunk < ATT_CHUNKS; ++chunk)
#pragma unroll
            for (uint x = 0; x < 16u; ++x) {
                const uint r = ATT_ROW(t, x), d = chunk * ATT_TILE + ATT_COL(t, x);
                if (ATT_BUSY(t) && r < lanes && d < p.dim)
                    T_ST(dq, q_at + r * p.q_stride + d, sum[t][chunk][x]);
            }
    // The rest of drel: indices that no tile of this work-group reached.
    for (uint part = 0; part < BLOCKS && p.has_bias; ++part) {
        const uint i = i0 + part * REL_ROWS;
        const uint row = (b * ((p.tq + REL_ROWS - 1u) / REL_ROWS) + i / REL_ROWS) * p.heads + head;
        for (uint x = lid; x < p.span && i < p.tq; x += WG)
            if (x + OPEN + i + position - p.rel_origin >= tiles * ATT_TILE + OPEN) // wraps when below the first
                drel[row * p.span + x] = 0.0f;
    }
}
