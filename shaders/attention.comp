#version 450
// SPDX-License-Identifier: Apache-2.0
// attention: o = dropout(softmax(q·kᵀ + rel + mask)) · v with a running softmax: no [tq, tk] matrix leaves the core.
//
//   q t [B·tq, q_stride]   kv t [B·tk, kv_stride]   rel f [H, span]   mask i [B, tk]   c step constants
//   o t [B·tq, H·dim]      lse f [B, H, tq]: log Σ exp(score) before dropout, ATT_NONE where no key is seen
//
// Launch:      a work-group does 32 query rows of one head of one sequence; blocks of rows fastest.
// Determinism: keys are taken in tiles of 32 in order; within a tile in order. Nothing depends on the data.
#include "common.glsl"
IN(0, T, q);
IN(1, T, kv);
IN(2, float, rel);
IN(3, int, mask);
STEP(4);
OUT(5, T, o);
OUT(6, float, lse);
ARGS(sy_attention_args);
#include "attention.glsl"

shared float stats[ATT_TILE * 3u]; // per row: running maximum, running sum, by how much older sums shrink

// One row of the running softmax: p = exp(s − max), multiplied by its dropout factors in SIDE_B.
void softmax_row(uint r)
{
    const uint at = WEIGHTS + r * ATT_PITCH, keep = SIDE_B + r * ATT_PITCH;
    const float old = stats[r * 3u];
    float top = old, sum = 0.0;
    for (uint j = 0u; j < ATT_TILE; ++j)
        top = max(top, tile[at + j]);
    for (uint j = 0u; j < ATT_TILE; ++j) {
        const float e = exp(tile[at + j] - top);
        sum += e;
        tile[at + j] = p.threshold != 0u ? e * tile[keep + j] : e;
    }
    const float shrink = exp(old - top);
    stats[r * 3u] = top;
    stats[r * 3u + 1u] = stats[r * 3u + 1u] * shrink + sum;
    stats[r * 3u + 2u] = shrink;
}

// sum of columns d0 … d0 + 31 of o: shrunk to the new maximum, plus this tile's p · v
#define ADD_VALUES(sum, d0)                                                                                     \
    if ((d0) < p.dim)                                                                                           \
        ATT_LOAD(SIDE_B, kv, kv_at + p.v_offset + j0 * p.kv_stride + (d0), p.kv_stride, rows, p.dim - (d0))     \
    barrier();                                                                                                  \
    if ((d0) < p.dim) {                                                                                         \
        ATT_EACH_TURN(t)                                                                                        \
            [[unroll]] for (int x = 0; x < 16; ++x)                                                             \
                sum[t][x] *= stats[ATT_ROW(t, x) * 3u + 2u];                                                    \
        ATT_MUL(sum, WEIGHTS, SIDE_B);                                                                          \
    }                                                                                                           \
    barrier();

#define STORE_VALUES(sum, d0)                                                                                   \
    [[unroll]] for (int x = 0; x < 16; ++x) {                                                                   \
        const uint r = ATT_ROW(t, x), d = (d0) + ATT_COL(t, x);                                                 \
        if (r < lanes && d < p.dim) {                                                                           \
            const float total = stats[r * 3u + 1u];                                                             \
            T_ST(o, ((b * p.tq + i0 + r) * p.heads + head) * p.dim + d, total > 0.0 ? sum[t][x] / total : 0.0); \
        }                                                                                                       \
    }

void main()
{
    const uint lid = LOCAL_ID;
    const uint blocks = (p.tq + ATT_TILE - 1u) / ATT_TILE;
    GROUP_GUARD(p.batch * p.heads * blocks);
    const uint head = GROUP_ID / blocks % p.heads, b = GROUP_ID / blocks / p.heads;
    const uint i0 = GROUP_ID % blocks * ATT_TILE, lanes = min(ATT_TILE, p.tq - i0);
    const uint position = p.decode != 0u ? c.position : 0u;
    const uint keys = p.causal != 0u ? min(p.tk, i0 + position + lanes) : p.tk;
    const uint q_at = (b * p.tq + i0) * p.q_stride + p.q_offset + head * p.dim;
    const uint kv_at = b * p.tk * p.kv_stride + head * p.dim;

    for (uint d_first = 0u; d_first < p.dim; d_first += ATT_PASS) {
        float low[ATT_TURNS][16], high[ATT_TURNS][16]; // sums of columns d_first + 0…31 and + 32…63
        ATT_CLEAR(low)
        ATT_CLEAR(high)
        for (uint r = lid; r < ATT_TILE; r += WG) {
            stats[r * 3u] = ATT_NONE;
            stats[r * 3u + 1u] = 0.0;
        }

        for (uint j0 = 0u; j0 < keys; j0 += ATT_TILE) {
            const uint rows = min(ATT_TILE, p.tk - j0);
            float s[ATT_TURNS][16];
            ATT_CLEAR(s)
            for (uint d0 = 0u; d0 < p.dim; d0 += ATT_TILE) {
                ATT_LOAD(SIDE_A, q, q_at + d0, p.q_stride, lanes, p.dim - d0)
                ATT_LOAD(SIDE_B, kv, kv_at + p.k_offset + j0 * p.kv_stride + d0, p.kv_stride, rows, p.dim - d0)
                barrier();
                ATT_DOT(s, SIDE_A, SIDE_B);
                barrier();
            }
            ATT_EACH_TURN(t)
                [[unroll]] for (int x = 0; x < 16; ++x)
                    tile[WEIGHTS + ATT_ROW(t, x) * ATT_PITCH + ATT_COL(t, x)] =
                        att_score(s[t][x], b, head, i0 + ATT_ROW(t, x), j0 + ATT_COL(t, x), position);
            if (p.threshold != 0u)
                att_keep_tile(lid, SY_ATTENTION_PLANE(p, c.sequence + b, head), i0, j0);
            barrier();
            for (uint r = lid; r < ATT_TILE; r += WG)
                softmax_row(r);
            barrier();
            ADD_VALUES(low, d_first)
            ADD_VALUES(high, d_first + ATT_TILE)
        }
        barrier();
        ATT_EACH_TURN(t) {
            STORE_VALUES(low, d_first)
            STORE_VALUES(high, d_first + ATT_TILE)
        }
        barrier(); // the next pass resets the statistics
    }
    for (uint r = lid; r < lanes; r += WG) {
        const float total = stats[r * 3u + 1u];
        lse[(b * p.heads + head) * p.tq + i0 + r] = total > 0.0 ? stats[r * 3u] + log(total) : ATT_NONE;
    }
}
