// SPDX-License-Identifier: Apache-2.0
// attention_dkv_coop.glsl: the body of attention_dkv_coop.comp and attention_dkv_coop_f16.comp: attention_dkv (its
// bindings) on matrix cores, the blocks of coop_attention.glsl. Scores are made as attention_coop makes them, queries
// down, so that a lone key's equals its lse to the bit.
//
// Launch:      a work-group does ROWS keys of one head of one sequence, dk and dv; blocks of keys fastest.
// Determinism: query rows in order, blocks of WALK; within, the driver's order, the same in every run.
#include "common.glsl"
#include "coop_pieces.glsl"

IN(0, T, q);
WIDE(0, q_wide);
IN(1, T, kv);
WIDE(1, kv_wide);
IN(2, float, rel);
IN(3, int, mask);
IN(4, float, ld);
IN(5, T, dout);
WIDE(5, do_wide);
STEP(6);
INOUT(7, T, dkv);
ARGS(sy_attention_args);
#include "coop_attention.glsl"

// A line of scores is a query's here.
LINES_SHARED(WALK, SIDE)
const uint STRIP = WALK * S_LD;    // and of a sub-group
const uint TILE = SUBS * STRIP > ROWS * LINE ? SUBS * STRIP : ROWS * LINE;
const uint ACROSS = SIDE / CN; // matrices of the sub-group's keys as columns

shared uvec4 tile[TILE];   // keys at first; then scores, probabilities as factors, results
shared uvec4 weight[TILE]; // values at first; then dp, ds as factors
shared uvec4 q_slab[WALK * LINE];
shared uvec4 do_slab[WALK * LINE];
shared vec4 seen[ROWS / 4u];
shared vec2 stats[WALK]; // lse and delta of each query

#define FETCH_BLOCK(i)                                                                                         \
    LINES_FETCH(q_next, WALK_PIECES, q, q_wide, q_at, p.q_stride, i, p.tq)                                     \
    LINES_FETCH(do_next, WALK_PIECES, dout, do_wide, do_at, p.heads * p.dim, i, p.tq)
#define PUT_BLOCK(i0)                                                                                          \
    LINES_PUT(q_slab, q_next, WALK_PIECES)                                                                     \
    LINES_PUT(do_slab, do_next, WALK_PIECES)                                                                   \
    for (uint e = lid; e < WALK; e += WG) {                                                                    \
        const uint at = 2u * ((b * p.heads + head) * p.tq + (i0) + e);                                         \
        vec2 both = vec2(ATT_ABSENT, 0.0);                                                                     \
        if ((i0) + e < p.tq)                                                                                   \
            both = vec2(ld[at], ld[at + 1u]);                                                                  \
        stats[e] = both;                                                                                       \
    }

// to = the slab's lines · this sub-group's lines, for all queries of the block
#define LINES_BY_LINES(to, slab, part)                                                                         \
    [[unroll]] for (uint m = 0u; m < WALK / CM; ++m) {                                                         \
        SUM s[ACROSS];                                                                                         \
        [[unroll]] for (uint n = 0u; n < ACROSS; ++n)                                                          \
            s[n] = SUM(0.0);                                                                                   \
        [[unroll]] for (uint k = 0u; k < DEPTHS; ++k) {                                                        \
            A_MATRIX other;                                                                                    \
            coopMatLoad(other, slab, m * CM * LINE + k * CK / PIECE, LINE, LINES_A);                           \
            [[unroll]] for (uint n = 0u; n < ACROSS; ++n)                                                      \
                s[n] = coopMatMulAdd(other, part[n * DEPTHS + k], s[n]);                                       \
        }                                                                                                      \
        [[unroll]] for (uint n = 0u; n < ACROSS; ++n)                                                          \
            coopMatStore(s[n], to, strip + m * CM * S_LD + n * CN / 4u, S_LD, gl_CooperativeMatrixLayoutRowMajor); \
    }

// sum += (this sub-group's weights)ᵀ · the slab's lines
#define ADD_LINES(sum, from, slab)                                                                             \
    [[unroll]] for (uint k = 0u; k < WALK; k += CK) {                                                          \
        A_MATRIX part[DOWN];                                                                                   \
        [[unroll]] for (uint m = 0u; m < DOWN; ++m)                                                            \
            coopMatLoad(part[m], from, strip + k * S_LD + m * CM / PIECE, S_LD, DEPTH_A);                      \
        [[unroll]] for (uint n = 0u; n < WIDTH; ++n) {                                                         \
            B_MATRIX other;                                                                                    \
            coopMatLoad(other, slab, k * LINE + n * CN / PIECE, LINE, DEPTH_B);                                \
            [[unroll]] for (uint m = 0u; m < DOWN; ++m)                                                        \
                sum[m * WIDTH + n] = coopMatMulAdd(part[m], other, sum[m * WIDTH + n]);                        \
        }                                                                                                      \
    }

#define STORE_SUMS(sum, offset)                                                                                \
    [[unroll]] for (uint f = 0u; f < DOWN * WIDTH; ++f) {                                                      \
        coopMatStore(sum[f], tile, strip, CN / 4u, gl_CooperativeMatrixLayoutRowMajor);                        \
        subgroupBarrier();                                                                                     \
        for (uint e = lane; e < CM * CN; e += LANES) {                                                         \
            const uint j = j0 + row0 + f / WIDTH * CM + e / CN, d = f % WIDTH * CN + e % CN;                   \
            if (j < p.tk && d < p.dim)                                                                         \
                T_ST(dkv, kv_at + (offset) + j * p.kv_stride + d, uintBitsToFloat(tile[strip + e / 4u][e % 4u])); \
        }                                                                                                      \
        subgroupBarrier();                                                                                     \
    }

void main()
{
    const uint lid = LOCAL_ID, lane = gl_SubgroupInvocationID, row0 = gl_SubgroupID * SIDE;
    const uint strip = gl_SubgroupID * STRIP, blocks = (p.tk + ROWS - 1u) / ROWS;
    GROUP_GUARD(p.batch * p.heads * blocks);
    const uint head = GROUP_ID / blocks % p.heads, b = GROUP_ID / blocks / p.heads;
    const uint j0 = GROUP_ID % blocks * ROWS;
    const uint position = p.decode != 0u ? c.position : 0u;
    const uint q_at = b * p.tq * p.q_stride + p.q_offset + head * p.dim;
    const uint kv_at = b * p.tk * p.kv_stride + head * p.dim;
    const uint do_at = (b * p.tq * p.heads + head) * p.dim;
    const bool whole = (p.dim | p.q_stride | p.q_offset | p.kv_stride | p.k_offset | p.v_offset) % PIECE == 0u;
    const uint plane = SY_ATTENTION_PLANE(p, c.sequence + b, head);
    const uint first_line = lane % AT_ONCE, share = lane / AT_ONCE; // of this item, the first of its TURNS
    // Blocks of queries that see none of these keys are skipped.
    const uint skip = p.causal != 0u && j0 > position ? (j0 - position) / WALK * WALK : 0u;

    uvec4 q_next[WALK_PIECES], do_next[WALK_PIECES];
    B_MATRIX k_part[ACROSS * DEPTHS], v_part[ACROSS * DEPTHS];
    {
        uvec4 next[ROWS_PIECES];
        LINES_FETCH(next, ROWS_PIECES, kv, kv_wide, kv_at + p.k_offset, p.kv_stride, j0, p.tk)
        LINES_PUT(tile, next, ROWS_PIECES)
        LINES_FETCH(next, ROWS_PIECES, kv, kv_wide, kv_at + p.v_offset, p.kv_stride, j0, p.tk)
        LINES_PUT(weight, next, ROWS_PIECES)
    }
    for (uint e = lid; e < ROWS / 4u; e += WG)
        seen[e] = seen_keys(b, j0 + 4u * e);
    FETCH_BLOCK(skip)
    PUT_BLOCK(skip)
    BARRIER();
    [[unroll]] for (uint n = 0u; n < ACROSS; ++n)
        [[unroll]] for (uint k = 0u; k < DEPTHS; ++k) {
            coopMatLoad(k_part[n * DEPTHS + k], tile, (row0 + n * CN) * LINE + k * CK / PIECE, LINE, LINES_B);
            coopMatLoad(v_part[n * DEPTHS + k], weight, (row0 + n * CN) * LINE + k * CK / PIECE, LINE, LINES_B);
        }
    BARRIER();

    SUM dk[DOWN * WIDTH], dv[DOWN * WIDTH];
    [[unroll]] for (uint n = 0u; n < DOWN * WIDTH; ++n) {
        dk[n] = SUM(0.0);
        dv[n] = SUM(0.0);
    }

    [[dont_unroll]] for (uint i0 = skip; i0 < p.tq; i0 += WALK) {
        const bool more = i0 + WALK < p.tq;
        if (more) {
            FETCH_BLOCK(i0 + WALK)
        }
        LINES_BY_LINES(tile, q_slab, k_part)
        LINES_BY_LINES(weight, do_slab, v_part)
        subgroupBarrier();

        vec4 prob[TURNS * UNITS * 2u], ds[TURNS * UNITS * 2u];
        if (share < SHARERS) {
            [[unroll]] for (uint t = 0u; t < TURNS; ++t) {
                const uint line = first_line + t * AT_ONCE, i = i0 + line;
                [[unroll]] for (uint u = 0u; u < UNITS * 2u; ++u) {
                    const uint four = (share + u / 2u * SHARERS) * 2u + u % 2u, at = strip + line * S_LD + four;
                    const uint j = j0 + row0 + 4u * four, n = t * UNITS * 2u + u;
                    const vec4 above = scores(uintBitsToFloat(tile[at]), j, seen[row0 / 4u + four], PAST(i), head,
                                              REL_AT(i)) - stats[line].x;
                    const vec4 keep = dropped(vec4(1.0), j / 4u, i, plane), dp = uintBitsToFloat(weight[at]) * keep;
                    prob[n] = exp(above);
                    ds[n] = score_gradients(above, prob[n], dp, stats[line].y);
                    prob[n] *= keep;
                }
            }
        }
        subgroupBarrier();
        if (share < SHARERS) {
            [[unroll]] for (uint t = 0u; t < TURNS; ++t)
                [[unroll]] for (uint u = 0u; u < UNITS; ++u) {
                    const uint at = strip + (first_line + t * AT_ONCE) * S_LD + share + u * SHARERS;
                    const uint n = t * UNITS * 2u + 2u * u;
                    tile[at] = to_factors(prob[n], prob[n + 1u]);
                    weight[at] = to_factors(ds[n], ds[n + 1u]);
                }
        }
        subgroupBarrier();
        ADD_LINES(dv, tile, do_slab)
        ADD_LINES(dk, weight, q_slab)
        BARRIER();
        if (more) {
            PUT_BLOCK(i0 + WALK)
        }
        BARRIER();
    }
    STORE_SUMS(dk, p.k_offset)
    STORE_SUMS(dv, p.v_offset)
}
