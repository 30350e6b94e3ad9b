#version 450
// SPDX-License-Identifier: Apache-2.0
// attention_dkv: dv = dropout(p)ᵀ·do and dk = dsᵀ·q, with ds = p∘(dp − delta), p = exp(score − lse), dp = dropout(do·vᵀ).
//
//   q t [B·tq, q_stride]   kv t [B·tk, kv_stride]   rel f [H, span]   mask i [B, tk]   ld f [B, H, tq, 2] (lse, delta)
//   do t [B·tq, H·dim]     c step constants
//   dkv t: the H·dim columns at k_offset and those at v_offset, with kv_stride; all others keep their value
//
// Launch:      a work-group does 32 keys of one head of one sequence, and either their dk or their dv, which halves
//              the registers; the dk group of a block follows its dv group.
// Determinism: query rows in order, tiles of 32.
#include "common.glsl"
IN(0, T, q);
IN(1, T, kv);
IN(2, float, rel);
IN(3, int, mask);
IN(4, float, ld);
IN(5, T, dout);
STEP(6);
INOUT(7, T, dkv);
ARGS(sy_attention_args);
#include "attention.glsl"

// sum of columns d0 … d0 + 31 of dk or dv: plus this tile's dsᵀ · q or pᵀ · do
#define ADD_QUERIES(sum, d0)                                                                                    \
    if ((d0) < p.dim && want_k)                                                                                 \
        ATT_LOAD(SIDE_B, q, q_at + i0 * p.q_stride + (d0), p.q_stride, rows, p.dim - (d0))                      \
    if ((d0) < p.dim && !want_k)                                                                                \
        ATT_LOAD(SIDE_B, dout, do_at + i0 * p.heads * p.dim + (d0), p.heads * p.dim, rows, p.dim - (d0))        \
    barrier();                                                                                                  \
    if ((d0) < p.dim)                                                                                           \
        ATT_MUL_T(sum, WEIGHTS, SIDE_B);                                                                        \
    barrier();

#define STORE_SUMS(sum, d0)                                                                                     \
    [[unroll]] for (int x = 0; x < 16; ++x) {                                                                   \
        const uint r = ATT_ROW(t, x), d = (d0) + ATT_COL(t, x);                                                 \
        if (r < lanes && d < p.dim)                                                                             \
            T_ST(dkv, out_at + r * p.kv_stride + d, sum[t][x]);                                                 \
    }

void main()
{
    const uint lid = LOCAL_ID;
    const uint blocks = (p.tk + ATT_TILE - 1u) / ATT_TILE;
    GROUP_GUARD(2u * p.batch * p.heads * blocks);
    const bool want_k = GROUP_ID % 2u == 1u;
    const uint head = GROUP_ID / 2u / blocks % p.heads, b = GROUP_ID / 2u / blocks / p.heads;
    const uint j0 = GROUP_ID / 2u % blocks * ATT_TILE, lanes = min(ATT_TILE, p.tk - j0);
    const uint position = p.decode != 0u ? c.position : 0u;
    const uint kv_at = (b * p.tk + j0) * p.kv_stride + head * p.dim;
    const uint q_at = b * p.tq * p.q_stride + p.q_offset + head * p.dim;
    const uint do_at = (b * p.tq * p.heads + head) * p.dim;
    const uint stats_at = (b * p.heads + head) * p.tq * 2u;
    // Tiles of queries that see none of these keys are skipped.
    const uint skip = p.causal != 0u && j0 > position ? (j0 - position) / ATT_TILE * ATT_TILE : 0u;

    const uint out_at = kv_at + (want_k ? p.k_offset : p.v_offset);

    for (uint d_first = 0u; d_first < p.dim; d_first += ATT_PASS) {
        float low[ATT_TURNS][16], high[ATT_TURNS][16]; // sums of columns d_first + 0…31 and + 32…63
        ATT_CLEAR(low)
        ATT_CLEAR(high)
        for (uint i0 = skip; i0 < p.tq; i0 += ATT_TILE) {
            const uint rows = min(ATT_TILE, p.tq - i0);
            float s[ATT_TURNS][16], dp[ATT_TURNS][16];
            ATT_CLEAR(s)
            ATT_CLEAR(dp)
            for (uint d0 = 0u; d0 < p.dim; d0 += ATT_TILE) {
                const uint cols = p.dim - d0;
                ATT_LOAD(SIDE_A, q, q_at + i0 * p.q_stride + d0, p.q_stride, rows, cols)
                ATT_LOAD(SIDE_B, kv, kv_at + p.k_offset + d0, p.kv_stride, lanes, cols)
                barrier();
                ATT_DOT(s, SIDE_A, SIDE_B);
                barrier();
                if (want_k) {
                    ATT_LOAD(SIDE_A, dout, do_at + i0 * p.heads * p.dim + d0, p.heads * p.dim, rows, cols)
                    ATT_LOAD(SIDE_B, kv, kv_at + p.v_offset + d0, p.kv_stride, lanes, cols)
                }
                barrier();
                if (want_k)
                    ATT_DOT(dp, SIDE_A, SIDE_B);
                barrier();
            }
            if (p.threshold != 0u)
                att_keep_tile(lid, SY_ATTENTION_PLANE(p, c.sequence + b, head), i0, j0);
            barrier();
            ATT_EACH_TURN(t)
                [[unroll]] for (int x = 0; x < 16; ++x) {
                    const uint r = ATT_ROW(t, x), j = ATT_COL(t, x), cell = r * ATT_PITCH + j;
                    float row_lse = ATT_ABSENT, delta = 0.0, factor = 1.0;
                    if (r < rows) {
                        row_lse = ld[stats_at + 2u * (i0 + r)];
                        delta = ld[stats_at + 2u * (i0 + r) + 1u];
                    }
                    if (p.threshold != 0u)
                        factor = tile[SIDE_B + cell];
                    const float above = att_score(s[t][x], b, head, i0 + r, j0 + j, position) - row_lse;
                    const float prob = exp(above);
                    tile[WEIGHTS + cell] = want_k ? ATT_DS(above, prob, dp[t][x] * factor, delta) : prob * factor;
                }
            barrier();
            ADD_QUERIES(low, d_first)
            ADD_QUERIES(high, d_first + ATT_TILE)
        }
        ATT_EACH_TURN(t) {
            STORE_SUMS(low, d_first)
            STORE_SUMS(high, d_first + ATT_TILE)
        }
    }
}
