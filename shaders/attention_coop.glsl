// SPDX-License-Identifier: Apache-2.0
// attention_coop.glsl: the body of attention_coop.comp and attention_coop_f16.comp: attention (its bindings) on matrix
// cores, the blocks of coop_attention.glsl.
//
// Launch:      a work-group does ROWS query rows of one head of one sequence; blocks of rows fastest.
// Determinism: keys are taken in blocks of WALK in order; the order of sums within is the driver's, the same in every run.
#include "common.glsl"
#include "coop_attention.glsl"

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

// Each of a sub-group's lines of scores is shared by SHARERS items, in units of eight keys in turn; where it has fewer
// items than lines, they take them in TURNS.
const uint SHARERS = LANES < SIDE ? 1u : LANES / SIDE < WALK / PIECE ? LANES / SIDE : WALK / PIECE;
const uint TURNS = LANES < SIDE ? SIDE / LANES : 1u;
const uint UNITS = WALK / PIECE / SHARERS;
const uint S_LD = WALK / 4u + 1u;     // pieces of a line of scores
const uint P_LD = WALK / PIECE + 1u;  // and of probabilities
const uint TILE = ROWS * (S_LD > LINE ? S_LD : LINE);

shared uvec4 tile[TILE]; // queries at first; then scores, by how much older sums shrink, results
shared uvec4 k_slab[WALK * LINE];
shared uvec4 v_slab[WALK * LINE];
shared uvec4 weights[ROWS * P_LD];
shared vec4 seen[WALK / 4u]; // of each key: 0, or −1 where no query sees it
shared float parts[ROWS * SHARERS];

float seen_key(uint b, uint j)
{
    bool yes = j < p.tk;
    if (yes && p.has_mask != 0u)
        yes = mask[b * p.tk + j] != 0;
    return yes ? 0.0 : -1.0;
}

// Scores of keys j … j + 3 from their products with the query; it sees those before `past`. rel_at: of key 0.
vec4 scores(vec4 s, uint j, vec4 yes, uint past, uint head, uint rel_at)
{
    const uvec4 key = j + uvec4(0u, 1u, 2u, 3u);
    if (p.has_bias != 0u)
        [[unroll]] for (int x = 0; x < 4; ++x)
            s[x] += rel[head * p.span + min(key[x] + rel_at, p.span - 1u)]; // beyond: a key that is not seen
    s = mix(s, vec4(ATT_MASKED), lessThan(yes, vec4(0.0)));
    return mix(s, vec4(ATT_MASKED), greaterThanEqual(key, uvec4(past)));
}

#define KV_FETCH(next, offset, j)                                                                              \
    FETCH(next, WALK_PIECES, HEAD, kv, kv_wide, kv_at + (offset) + (j) * p.kv_stride, p.kv_stride, p.tk - (j), p.dim, whole)
#define FETCH_BLOCK(j)                                                                                         \
    KV_FETCH(k_next, p.k_offset, j)                                                                            \
    KV_FETCH(v_next, p.v_offset, j)
#define PUT_BLOCK(j)                                                                                           \
    PUT(k_slab, 0u, LINE, k_next, WALK_PIECES, HEAD)                                                           \
    PUT(v_slab, 0u, LINE, v_next, WALK_PIECES, HEAD)                                                           \
    for (uint e = lid; e < WALK / 4u; e += WG)                                                                 \
        seen[e] = vec4(seen_key(b, (j) + 4u * e), seen_key(b, (j) + 4u * e + 1u), seen_key(b, (j) + 4u * e + 2u), \
                       seen_key(b, (j) + 4u * e + 3u));

void main()
{
    const uint lid = LOCAL_ID, lane = gl_SubgroupInvocationID, row0 = gl_SubgroupID * SIDE;
    const uint blocks = (p.tq + ROWS - 1u) / ROWS;
    GROUP_GUARD(p.batch * p.heads * blocks);
    const uint head = GROUP_ID / blocks % p.heads, b = GROUP_ID / blocks / p.heads;
    const uint i0 = GROUP_ID % blocks * ROWS;
    const uint position = p.decode != 0u ? c.position : 0u;
    const uint keys = p.causal != 0u ? min(p.tk, i0 + position + min(ROWS, p.tq - i0)) : p.tk;
    const uint q_at = (b * p.tq + i0) * p.q_stride + p.q_offset + head * p.dim;
    const uint kv_at = b * p.tk * p.kv_stride + head * p.dim;
    const bool whole = (p.dim | p.q_stride | p.q_offset | p.kv_stride | p.k_offset | p.v_offset) % PIECE == 0u;
    const uint plane = SY_ATTENTION_PLANE(p, c.sequence + b, head);
    const uint first_row = lane % SIDE, share = lane / SIDE; // of this item, the first of its TURNS

    uvec4 k_next[WALK_PIECES], v_next[WALK_PIECES];
    A_MATRIX q_part[DOWN * DEPTHS];
    {
        uvec4 q_next[ROWS_PIECES];
        FETCH(q_next, ROWS_PIECES, HEAD, q, q_wide, q_at, p.q_stride, p.tq - i0, p.dim, whole)
        PUT(tile, 0u, LINE, q_next, ROWS_PIECES, HEAD)
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
            const uint r = row0 + first_row + t * LANES, i = i0 + r;
            const uint past = i >= p.tq ? 0u : p.causal != 0u ? i + position + 1u : ~0u;
            float high = ATT_NONE;
            if (share < SHARERS) {
                [[unroll]] for (uint u = 0u; u < UNITS * 2u; ++u) {
                    const uint four = (share + u / 2u * SHARERS) * 2u + u % 2u;
                    v[t * UNITS * 2u + u] = scores(uintBitsToFloat(tile[r * S_LD + four]), j0 + 4u * four, seen[four],
                                                   past, head, p.rel_origin - i - position);
                    high = max(high, highest(v[t * UNITS * 2u + u]));
                }
                parts[r * SHARERS + share] = high;
            }
        }
        subgroupBarrier();
        [[unroll]] for (uint t = 0u; t < TURNS; ++t) {
            const uint r = row0 + first_row + t * LANES, i = i0 + r;
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
                    if (p.threshold != 0u) {
                        const uvec4 bits = sy_philox(j0 / 4u + four, i, p.stream, plane, c.seed_lo, c.seed_hi ^ c.step);
                        v[at] = mix(v[at] * p.scale, vec4(0.0), lessThan(bits, uvec4(p.threshold)));
                    }
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
            parts[(row0 + first_row + t * LANES) * SHARERS + share] = weight[t];
    subgroupBarrier();
    [[unroll]] for (uint t = 0u; t < TURNS; ++t) {
        const uint r = row0 + first_row + t * LANES, i = i0 + r;
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
            parts[(row0 + first_row + t * LANES) * SHARERS] = weight[t];
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
