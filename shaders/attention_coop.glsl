// SPDX-License-Identifier: Apache-2.0
// attention_coop.glsl: the body of attention_coop.comp and attention_coop_f16.comp: attention (its bindings) on matrix
// cores, the blocks of coop_attention.glsl.
//
// Launch:      a work-group does ROWS query rows of one head of one sequence; blocks of rows fastest.
// Determinism: keys are taken in blocks of WALK in order; the order of sums within is the driver's, the same in every run.
#include "common.glsl"
#include "coop_pieces.glsl"

IN(0, T, q);
WIDE(0, q_wide);
IN(1, T, kv);
WIDE(1, kv_wide);
IN(2, float, rel);
IN(3, int, mask);
STEP(4);
OUT(5, T, o);
OUT(6, float, lse);
ARGS(sy_attention_args);
#include "coop_attention.glsl"

LINES_SHARED(SIDE, WALK)
const uint P_LD = WALK / PIECE + 1u;  // and of probabilities
const uint TILE = ROWS * (S_LD > LINE ? S_LD : LINE);

shared uvec4 tile[TILE]; // queries at first; then scores, by how much older sums shrink, results
shared uvec4 k_slab[WALK * LINE];
shared uvec4 v_slab[WALK * LINE];
shared uvec4 weights[ROWS * P_LD];
shared vec4 seen[WALK / 4u]; // of each key: 0, or −1 where no query sees it
shared float parts[ROWS * SHARERS];

#define FETCH_BLOCK(j)                                                                                         \
    LINES_FETCH(k_next, WALK_PIECES, kv, kv_wide, kv_at + p.k_offset, p.kv_stride, j, p.tk)                    \
    LINES_FETCH(v_next, WALK_PIECES, kv, kv_wide, kv_at + p.v_offset, p.kv_stride, j, p.tk)
#define PUT_BLOCK(j)                                                                                           \
    LINES_PUT(k_slab, k_next, WALK_PIECES)                                                                     \
    LINES_PUT(v_slab, v_next, WALK_PIECES)                                                                     \
    for (uint e = lid; e < WALK / 4u; e += WG)                                                                 \
        seen[e] = seen_keys(b, (j) + 4u * e);

void main()
{
    const uint lid = LOCAL_ID, lane = gl_SubgroupInvocationID, row0 = gl_SubgroupID * SIDE;
    const uint blocks = (p.tq + ROWS - 1u) / ROWS;
    GROUP_GUARD(p.batch * p.heads * blocks);
    const uint head = GROUP_ID / blocks % p.heads, b = GROUP_ID / blocks / p.heads;
    const uint i0 = GROUP_ID % blocks * ROWS;
    const uint position = p.decode != 0u ? c.position : 0u;
    const uint keys = p.causal != 0u ? min(p.tk, i0 + position + min(ROWS, p.tq - i0)) : p.tk;
    const uint q_at = b * p.tq * p.q_stride + p.q_offset + head * p.dim;
    const uint kv_at = b * p.tk * p.kv_stride + head * p.dim;
    const bool whole = (p.dim | p.q_stride | p.q_offset | p.kv_stride | p.k_offset | p.v_offset) % PIECE == 0u;
    const uint plane = SY_ATTENTION_PLANE(p, c.sequence + b, head);
    const uint first_row = lane % AT_ONCE, share = lane / AT_ONCE; // of this item, the first of its TURNS

    uvec4 k_next[WALK_PIECES], v_next[WALK_PIECES];
    A_MATRIX q_part[DOWN * DEPTHS];
    {
        uvec4 q_next[ROWS_PIECES];
        LINES_FETCH(q_next, ROWS_PIECES, q, q_wide, q_at, p.q_stride, i0, p.tq)
        LINES_PUT(tile, q_next, ROWS_PIECES)
    }
    FETCH_BLOCK(0u)
    PUT_BLOCK(0u)
    BARRIER();
    [[unroll]] for (uint i = 0u; i < DOWN; ++i)
        [[unroll]] for (uint k = 0u; k < DEPTHS; ++k)
            coopMatLoad(q_part[i * DEPTHS + k], tile, (row0 + i * CM) * LINE + k * CK / PIECE, LINE, LINES_A);
    BARRIER();

    SUM sum[DOWN * WIDTH];
    [[unroll]] for (uint n = 0u; n < DOWN * WIDTH; ++n)
        sum[n] = SUM(0.0);
    float top[TURNS], weight[TURNS]; // of each row: running maximum, this item's share of the running sum
    [[unroll]] for (uint t = 0u; t < TURNS; ++t) {
        top[t] = ATT_NONE;
        weight[t] = 0.0;
    }

    [[dont_unroll]] for (uint j0 = 0u; j0 < keys; j0 += WALK) {
        const bool more = j0 + WALK < keys;
        if (more) {
            FETCH_BLOCK(j0 + WALK)
        }
        [[unroll]] for (uint n = 0u; n < WALK / CN; ++n) {
            SUM s[DOWN];
            [[unroll]] for (uint i = 0u; i < DOWN; ++i)
                s[i] = SUM(0.0);
            [[unroll]] for (uint k = 0u; k < DEPTHS; ++k) {
                B_MATRIX k_part;
                coopMatLoad(k_part, k_slab, n * CN * LINE + k * CK / PIECE, LINE, LINES_B);
                [[unroll]] for (uint i = 0u; i < DOWN; ++i)
                    s[i] = coopMatMulAdd(q_part[i * DEPTHS + k], k_part, s[i]);
            }
            [[unroll]] for (uint i = 0u; i < DOWN; ++i)
                coopMatStore(s[i], tile, (row0 + i * CM) * S_LD + n * CN / 4u, S_LD, gl_CooperativeMatrixLayoutRowMajor);
        }
        subgroupBarrier();

        vec4 v[TURNS * UNITS * 2u]; // this item's scores, then weights
        [[unroll]] for (uint t = 0u; t < TURNS; ++t) {
            const uint r = row0 + first_row + t * AT_ONCE, i = i0 + r;
            float high = ATT_NONE;
            if (share < SHARERS) {
                [[unroll]] for (uint u = 0u; u < UNITS * 2u; ++u) {
                    const uint four = (share + u / 2u * SHARERS) * 2u + u % 2u;
                    v[t * UNITS * 2u + u] = scores(uintBitsToFloat(tile[r * S_LD + four]), j0 + 4u * four, seen[four],
                                                   PAST(i), head, REL_AT(i));
                    high = max(high, highest(v[t * UNITS * 2u + u]));
                }
                parts[r * SHARERS + share] = high;
            }
        }
        subgroupBarrier();
        [[unroll]] for (uint t = 0u; t < TURNS; ++t) {
            const uint r = row0 + first_row + t * AT_ONCE, i = i0 + r;
            const float old = top[t];
            [[unroll]] for (uint x = 0u; x < SHARERS; ++x)
                top[t] = max(top[t], parts[r * SHARERS + x]);
            const float shrink = exp(old - top[t]);
            weight[t] *= shrink;
            if (share < SHARERS) {
                [[unroll]] for (uint u = 0u; u < UNITS * 2u; ++u) {
                    const uint four = (share + u / 2u * SHARERS) * 2u + u % 2u, at = t * UNITS * 2u + u;
                    v[at] = exp(v[at] - top[t]);
                    weight[t] += total(v[at]);
                    v[at] = dropped(v[at], j0 / 4u + four, i, plane);
                }
                [[unroll]] for (uint u = 0u; u < UNITS; ++u)
                    weights[r * P_LD + share + u * SHARERS] =
                        to_factors(v[t * UNITS * 2u + 2u * u], v[t * UNITS * 2u + 2u * u + 1u]);
                for (uint x = share; x < CN / 4u; x += SHARERS)
                    tile[r * S_LD + x] = floatBitsToUint(vec4(shrink));
            }
        }
        subgroupBarrier();

        [[unroll]] for (uint i = 0u; i < DOWN; ++i) {
            SUM shrink;
            coopMatLoad(shrink, tile, (row0 + i * CM) * S_LD, S_LD, gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint n = 0u; n < WIDTH; ++n)
                sum[i * WIDTH + n] = sum[i * WIDTH + n] * shrink;
        }
        [[unroll]] for (uint k = 0u; k < WALK; k += CK) {
            A_MATRIX w_part[DOWN];
            [[unroll]] for (uint i = 0u; i < DOWN; ++i)
                coopMatLoad(w_part[i], weights, (row0 + i * CM) * P_LD + k / PIECE, P_LD, LINES_A);
            [[unroll]] for (uint n = 0u; n < WIDTH; ++n) {
                B_MATRIX v_part;
                coopMatLoad(v_part, v_slab, k * LINE + n * CN / PIECE, LINE, DEPTH_B);
                [[unroll]] for (uint i = 0u; i < DOWN; ++i)
                    sum[i * WIDTH + n] = coopMatMulAdd(w_part[i], v_part, sum[i * WIDTH + n]);
            }
        }
        BARRIER();
        if (more) {
            PUT_BLOCK(j0 + WALK)
        }
        BARRIER();
    }

    // Each row's sum, from its sharers; the results are divided by it.
    [[unroll]] for (uint t = 0u; t < TURNS; ++t)
        if (share < SHARERS)
            parts[(row0 + first_row + t * AT_ONCE) * SHARERS + share] = weight[t];
    subgroupBarrier();
    [[unroll]] for (uint t = 0u; t < TURNS; ++t) {
        const uint r = row0 + first_row + t * AT_ONCE, i = i0 + r;
        float all = 0.0;
        [[unroll]] for (uint x = 0u; x < SHARERS; ++x)
            all += parts[r * SHARERS + x];
        weight[t] = all;
        if (share == 0u && i < p.tq)
            lse[(b * p.heads + head) * p.tq + i] = all > 0.0 ? top[t] + log(all) : ATT_NONE;
    }
    subgroupBarrier();
    [[unroll]] for (uint t = 0u; t < TURNS; ++t)
        if (share == 0u)
            parts[(row0 + first_row + t * AT_ONCE) * SHARERS] = weight[t];
    [[unroll]] for (uint n = 0u; n < WIDTH; ++n) {
        [[unroll]] for (uint i = 0u; i < DOWN; ++i)
            coopMatStore(sum[i * WIDTH + n], tile, (row0 + i * CM) * S_LD, S_LD, gl_CooperativeMatrixLayoutRowMajor);
        subgroupBarrier();
        for (uint e = lane; e < SIDE * CN; e += LANES) {
            const uint r = row0 + e / CN, d = n * CN + e % CN;
            const float all = parts[r * SHARERS], value = uintBitsToFloat(tile[r * S_LD + e % CN / 4u][e % 4u]);
            if (i0 + r < p.tq && d < p.dim)
                T_ST(o, ((b * p.tq + i0 + r) * p.heads + head) * p.dim + d, all > 0.0 ? value / all : 0.0);
        }
        subgroupBarrier();
    }
}
