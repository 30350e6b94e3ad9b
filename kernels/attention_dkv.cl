// SPDX-License-Identifier: Apache-2.0
// attention_dkv: dv = dropout(p)ᵀ·do and dk = dsᵀ·q, with ds = p∘(dp − delta), p = exp(score − lse), dp = dropout(do·vᵀ).
//
//   q t [B·tq, q_stride]   kv t [B·tk, kv_stride]   rel f [H, span]   mask i [B, tk]   ld f [B, H, tq, 2] (lse, delta)
//   do t [B·tq, H·dim]     c step constants
//   dkv t: the H·dim columns at k_offset and those at v_offset, with kv_stride; all others keep their value
//
// Launch:      a work-group does 32 keys of one head of one sequence, and either their dk or their dv, which halves the
//              registers; the dk group of a block follows its dv group.
// Determinism: query rows in order, tiles of 32.
#include "common.cl.h"
#include "attention.cl.h"

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
            att_keep_tile(side_b, SY_ATTENTION_PLANE(p, c->sequence + b, head), i0, j0, lid, &p, c);
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
