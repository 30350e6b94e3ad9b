// SPDX-License-Identifier: Apache-2.0
// attention_dq_coop.glsl: the body of attention_dq_coop.comp and attention_dq_coop_f16.comp: attention_dq (its bindings)
// on matrix cores, the blocks of coop_attention.glsl.
//
// Launch:      a work-group does ROWS query rows of one head of one sequence; blocks of rows fastest.
// Determinism: keys in order, blocks of WALK; within, the driver's order. A diagonal is summed by ascending query row.
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
OUT(7, T, dq);
OUT(8, float, drel);
ARGS(sy_attention_args);
#include "coop_attention.glsl"

LINES_SHARED(SIDE, WALK)
const uint TILE = ROWS * (S_LD > LINE ? S_LD : LINE);

shared uvec4 tile[TILE];   // queries at first; then scores, their gradients ds in f32, results
shared uvec4 weight[TILE]; // do at first; then dp, ds as factors
shared uvec4 k_slab[WALK * LINE];
shared uvec4 v_slab[WALK * LINE];
shared vec4 seen[WALK / 4u];

// Diagonals x = j − i of a block: those of a 16-row part that end in this block of keys, and the other 15, which reach
// into the next one and wait in `carry`. Two carries, used in turn, keep readers and writers apart (attention_dq.comp).
#define REL_ROWS uint(SY_REL_BLOCK)
#define OPEN (REL_ROWS - 1u)
const uint DIAGONALS = WALK + OPEN;
const uint PARTS = ROWS / REL_ROWS;
shared float carry[2u * PARTS * OPEN];

// Where the row of drel of the part that starts with query row i begins.
uint drel_row(uint b, uint head, uint i)
{
    return ((b * ((p.tq + REL_ROWS - 1u) / REL_ROWS) + i / REL_ROWS) * p.heads + head) * p.span;
}

// Diagonal n = x + 15 of one 16-row part of block number `number`.
void add_diagonal(uint part, uint n, uint number, bool last, uint b, uint head, uint i0, uint position)
{
    const uint low = n < OPEN ? OPEN - n : 0u, high = min(REL_ROWS, DIAGONALS - n); // its rows in this block
    float sum = 0.0;
    if (n < OPEN)
        sum = carry[(number % 2u * PARTS + part) * OPEN + n];
    for (uint r = low; r < high; ++r) {
        const uint key = r + n - OPEN;
        sum += uintBitsToFloat(tile[(part * REL_ROWS + r) * S_LD + key / 4u][key % 4u]);
    }
    if (n >= WALK)
        carry[((number + 1u) % 2u * PARTS + part) * OPEN + n - WALK] = sum;
    const uint i = i0 + part * REL_ROWS;
    const uint x = number * WALK + n + p.rel_origin - (OPEN + i + position); // wraps when below 0: then ≥ span
    if ((n < WALK || last) && i < p.tq && x < p.span)
        drel[drel_row(b, head, i) + x] = sum;
}

#define FETCH_BLOCK(j)                                                                                         \
    LINES_FETCH(k_next, WALK_PIECES, kv, kv_wide, kv_at + p.k_offset, p.kv_stride, j, p.tk)                    \
    LINES_FETCH(v_next, WALK_PIECES, kv, kv_wide, kv_at + p.v_offset, p.kv_stride, j, p.tk)
#define PUT_BLOCK(j)                                                                                           \
    LINES_PUT(k_slab, k_next, WALK_PIECES)                                                                     \
    LINES_PUT(v_slab, v_next, WALK_PIECES)                                                                     \
    for (uint e = lid; e < WALK / 4u; e += WG)                                                                 \
        seen[e] = seen_keys(b, (j) + 4u * e);

// to = this sub-group's lines · the slab's lines, for all keys of the block
#define LINES_BY_LINES(to, part, slab)                                                                         \
    [[unroll]] for (uint n = 0u; n < WALK / CN; ++n) {                                                         \
        SUM s[DOWN];                                                                                           \
        [[unroll]] for (uint i = 0u; i < DOWN; ++i)                                                            \
            s[i] = SUM(0.0);                                                                                   \
        [[unroll]] for (uint k = 0u; k < DEPTHS; ++k) {                                                        \
            B_MATRIX other;                                                                                    \
            coopMatLoad(other, slab, n * CN * LINE + k * CK / PIECE, LINE, LINES_B);                           \
            [[unroll]] for (uint i = 0u; i < DOWN; ++i)                                                        \
                s[i] = coopMatMulAdd(part[i * DEPTHS + k], other, s[i]);                                       \
        }                                                                                                      \
        [[unroll]] for (uint i = 0u; i < DOWN; ++i)                                                            \
            coopMatStore(s[i], to, (row0 + i * CM) * S_LD + n * CN / 4u, S_LD, gl_CooperativeMatrixLayoutRowMajor); \
    }

void main()
{
    const uint lid = LOCAL_ID, lane = gl_SubgroupInvocationID, row0 = gl_SubgroupID * SIDE;
    const uint blocks = (p.tq + ROWS - 1u) / ROWS;
    GROUP_GUARD(p.batch * p.heads * blocks);
    const uint head = GROUP_ID / blocks % p.heads, b = GROUP_ID / blocks / p.heads;
    const uint i0 = GROUP_ID % blocks * ROWS;
    const uint position = p.decode != 0u ? c.position : 0u;
    const uint keys = p.causal != 0u ? min(p.tk, i0 + position + min(ROWS, p.tq - i0)) : p.tk;
    const uint walks = (keys + WALK - 1u) / WALK;
    const uint q_at = b * p.tq * p.q_stride + p.q_offset + head * p.dim;
    const uint kv_at = b * p.tk * p.kv_stride + head * p.dim;
    const uint do_at = (b * p.tq * p.heads + head) * p.dim;
    const bool whole = (p.dim | p.q_stride | p.q_offset | p.kv_stride | p.k_offset | p.v_offset) % PIECE == 0u;
    const uint plane = SY_ATTENTION_PLANE(p, c.sequence + b, head);
    const uint first_row = lane % AT_ONCE, share = lane / AT_ONCE; // of this item, the first of its TURNS

    uvec4 k_next[WALK_PIECES], v_next[WALK_PIECES];
    A_MATRIX q_part[DOWN * DEPTHS], do_part[DOWN * DEPTHS];
    {
        uvec4 next[ROWS_PIECES];
        LINES_FETCH(next, ROWS_PIECES, q, q_wide, q_at, p.q_stride, i0, p.tq)
        LINES_PUT(tile, next, ROWS_PIECES)
        LINES_FETCH(next, ROWS_PIECES, dout, do_wide, do_at, p.heads * p.dim, i0, p.tq)
        LINES_PUT(weight, next, ROWS_PIECES)
    }
    for (uint e = lid; e < 2u * PARTS * OPEN; e += WG)
        carry[e] = 0.0;
    FETCH_BLOCK(0u)
    PUT_BLOCK(0u)
    BARRIER();
    [[unroll]] for (uint i = 0u; i < DOWN; ++i)
        [[unroll]] for (uint k = 0u; k < DEPTHS; ++k) {
            coopMatLoad(q_part[i * DEPTHS + k], tile, (row0 + i * CM) * LINE + k * CK / PIECE, LINE, LINES_A);
            coopMatLoad(do_part[i * DEPTHS + k], weight, (row0 + i * CM) * LINE + k * CK / PIECE, LINE, LINES_A);
        }
    float row_lse[TURNS], delta[TURNS];
    [[unroll]] for (uint t = 0u; t < TURNS; ++t) {
        const uint i = i0 + row0 + first_row + t * AT_ONCE, at = 2u * ((b * p.heads + head) * p.tq + i);
        row_lse[t] = ATT_ABSENT;
        delta[t] = 0.0;
        if (i < p.tq) {
            row_lse[t] = ld[at];
            delta[t] = ld[at + 1u];
        }
    }
    BARRIER();

    SUM sum[DOWN * WIDTH];
    [[unroll]] for (uint n = 0u; n < DOWN * WIDTH; ++n)
        sum[n] = SUM(0.0);

    [[dont_unroll]] for (uint number = 0u; number < walks; ++number) {
        const uint j0 = number * WALK;
        const bool more = number + 1u < walks;
        if (more) {
            FETCH_BLOCK(j0 + WALK)
        }
        LINES_BY_LINES(tile, q_part, k_slab)
        LINES_BY_LINES(weight, do_part, v_slab)
        subgroupBarrier();

        vec4 ds[TURNS * UNITS * 2u];
        if (share < SHARERS) {
            [[unroll]] for (uint t = 0u; t < TURNS; ++t) {
                const uint r = row0 + first_row + t * AT_ONCE, i = i0 + r;
                [[unroll]] for (uint u = 0u; u < UNITS * 2u; ++u) {
                    const uint four = (share + u / 2u * SHARERS) * 2u + u % 2u, at = r * S_LD + four;
                    const vec4 above = scores(uintBitsToFloat(tile[at]), j0 + 4u * four, seen[four], PAST(i), head,
                                              REL_AT(i)) - row_lse[t];
                    const vec4 dp = dropped(uintBitsToFloat(weight[at]), j0 / 4u + four, i, plane);
                    ds[t * UNITS * 2u + u] = score_gradients(above, exp(above), dp, delta[t]);
                    if (p.has_bias != 0u)
                        tile[at] = floatBitsToUint(ds[t * UNITS * 2u + u]);
                }
            }
        }
        subgroupBarrier();
        if (share < SHARERS) {
            [[unroll]] for (uint t = 0u; t < TURNS; ++t)
                [[unroll]] for (uint u = 0u; u < UNITS; ++u)
                    weight[(row0 + first_row + t * AT_ONCE) * S_LD + share + u * SHARERS] =
                        to_factors(ds[t * UNITS * 2u + 2u * u], ds[t * UNITS * 2u + 2u * u + 1u]);
        }
        subgroupBarrier();

        [[unroll]] for (uint k = 0u; k < WALK; k += CK) {
            A_MATRIX ds_part[DOWN];
            [[unroll]] for (uint i = 0u; i < DOWN; ++i)
                coopMatLoad(ds_part[i], weight, (row0 + i * CM) * S_LD + k / PIECE, S_LD, LINES_A);
            [[unroll]] for (uint n = 0u; n < WIDTH; ++n) {
                B_MATRIX k_part;
                coopMatLoad(k_part, k_slab, k * LINE + n * CN / PIECE, LINE, DEPTH_B);
                [[unroll]] for (uint i = 0u; i < DOWN; ++i)
                    sum[i * WIDTH + n] = coopMatMulAdd(ds_part[i], k_part, sum[i * WIDTH + n]);
            }
        }
        BARRIER();
        if (p.has_bias != 0u)
            for (uint e = lid; e < PARTS * DIAGONALS; e += WG)
                add_diagonal(e / DIAGONALS, e % DIAGONALS, number, !more, b, head, i0, position);
        if (more) {
            PUT_BLOCK(j0 + WALK)
        }
        BARRIER();
    }

    [[unroll]] for (uint n = 0u; n < WIDTH; ++n) {
        [[unroll]] for (uint i = 0u; i < DOWN; ++i)
            coopMatStore(sum[i * WIDTH + n], tile, (row0 + i * CM) * S_LD, S_LD, gl_CooperativeMatrixLayoutRowMajor);
        subgroupBarrier();
        for (uint e = lane; e < SIDE * CN; e += LANES) {
            const uint i = i0 + row0 + e / CN, d = n * CN + e % CN;
            if (i < p.tq && d < p.dim)
                T_ST(dq, q_at + i * p.q_stride + d, uintBitsToFloat(tile[(row0 + e / CN) * S_LD + e % CN / 4u][e % 4u]));
        }
        subgroupBarrier();
    }
    if (p.has_bias == 0u)
        return;
    // The rest of drel: indices that no block of this work-group reached.
    for (uint i = i0; i < min(p.tq, i0 + ROWS); i += REL_ROWS)
        for (uint x = lid; x < p.span; x += WG)
            if (x + OPEN + i + position - p.rel_origin >= walks * WALK + OPEN) // wraps when below the first
                drel[drel_row(b, head, i) + x] = 0.0;
}
