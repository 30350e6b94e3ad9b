// SPDX-License-Identifier: Apache-2.0
// attention.glsl: what attention, attention_dq and attention_dkv share; the GLSL twin of
// kernels/attention.cl.h. Include after common.glsl and after the bindings q, kv, rel, mask, c and p.
//
// 32×32 tiles in shared memory; at WG = 64 an invocation holds 4×4 results. Two such blocks of sums are all that fit into
// the registers of every GPU, next to the scores: heads wider than 64 walk the other side once for every 64 columns. The
// two are variables of their own, not an array over which a loop runs: drivers that leave that loop a loop put the array
// into memory.
#include "philox.h"

#define ATT_TILE 32u
#define ATT_PITCH (ATT_TILE + 1u) // odd, so that a column falls on different banks
#define ATT_SIZE (ATT_TILE * ATT_PITCH)
#define ATT_PASS (2u * ATT_TILE) // columns of the result that an invocation's registers hold
#define SIDE_A 0u // the three tiles, as offsets into `tile`
#define SIDE_B ATT_SIZE
#define WEIGHTS (2u * ATT_SIZE)

// Score of a key that is not seen, lse of a query that sees no key, lse of a query row beyond tq (attention.cl.h).
#define ATT_MASKED (-2e30)
#define ATT_NONE (-1e30)
#define ATT_ABSENT 1e30

// ds = p·(dp − delta) with p = exp(x), x = score − lse; exactly 0 where one key has all the weight (attention.cl.h).
#define ATT_DS(x, prob, dp, delta) ((x) >= 0.0 ? 0.0 : (prob) * ((dp) - (delta)))

shared float tile[3u * ATT_SIZE];

// The 64 blocks of 4×4 elements of a tile: one for each of the first 64 invocations; fewer take several in turn. Element
// x = 4·y + z of turn t's block: row r0 + 8y, column c0 + 8z.
const uint ATT_TURNS = WG < 64u ? 64u / WG : 1u;
#define ATT_ID(t) (lid + (t) * WG)
#define ATT_EACH_TURN(t) for (uint t = 0u; t < ATT_TURNS; ++t) if (ATT_ID(t) < 64u)
#define ATT_ROW(t, x) (ATT_ID(t) / 8u + 8u * (uint(x) / 4u))
#define ATT_COL(t, x) (ATT_ID(t) % 8u + 8u * (uint(x) % 4u))

// tile[to + …][r][d] = x[at + r·stride + d]; zeros beyond `rows` and `cols`.
const uint ATT_LOAD_ROWS = WG < ATT_TILE ? 1u : WG / ATT_TILE;  // rows that the work-group loads at once,
const uint ATT_LOAD_TURNS = WG < ATT_TILE ? ATT_TILE / WG : 1u; // or turns it takes for one
#define ATT_LOAD(to, x, at, stride, rows, cols)                                                                 \
    [[dont_unroll]] for (uint r_ = lid / ATT_TILE; r_ < ATT_TILE; r_ += 4u * ATT_LOAD_ROWS)                     \
        for (uint t_ = 0u; t_ < ATT_LOAD_TURNS; ++t_) {                                                         \
            const uint d_ = lid % ATT_TILE + t_ * WG;                                                           \
            float value_[4]; /* four loads on their way; more would only cost registers */                      \
            [[unroll]] for (uint n_ = 0u; n_ < 4u; ++n_) {                                                      \
                const uint row_ = r_ + n_ * ATT_LOAD_ROWS;                                                      \
                value_[n_] = 0.0;                                                                               \
                if (row_ < (rows) && d_ < (cols))                                                               \
                    value_[n_] = T_LD(x, (at) + row_ * (stride) + d_);                                          \
            }                                                                                                   \
            [[unroll]] for (uint n_ = 0u; n_ < 4u; ++n_) {                                                      \
                const uint row_ = r_ + n_ * ATT_LOAD_ROWS;                                                      \
                if (row_ < ATT_TILE)                                                                            \
                    tile[(to) + row_ * ATT_PITCH + d_] = value_[n_];                                            \
            }                                                                                                   \
        }

#define ATT_CLEAR(s)                                                                                            \
    for (uint t_ = 0u; t_ < ATT_TURNS; ++t_)                                                                    \
        [[unroll]] for (int x_ = 0; x_ < 16; ++x_)                                                              \
            s[t_][x_] = 0.0;

// s[4y+z] += Σ_x a[(r0+8y)·a_row + x·a_step] · b[(c0+8z)·b_col + x·b_step]
void att_block(inout float s[16], uint id, uint a, uint a_row, uint a_step, uint b, uint b_col, uint b_step)
{
    a += id / 8u * a_row;
    b += id % 8u * b_col;
    [[dont_unroll]] for (uint x = 0u; x < ATT_TILE; x += 4u) {
        [[unroll]] for (uint n = 0u; n < 4u; ++n) {
            float left[4], right[4];
            [[unroll]] for (uint y = 0u; y < 4u; ++y) {
                left[y] = tile[a + n * a_step + 8u * y * a_row];
                right[y] = tile[b + n * b_step + 8u * y * b_col];
            }
            [[unroll]] for (int y = 0; y < 4; ++y)
                [[unroll]] for (int z = 0; z < 4; ++z)
                    s[4 * y + z] = fma(left[y], right[z], s[4 * y + z]);
        }
        a += 4u * a_step;
        b += 4u * b_step;
    }
}
// rows·rowsᵀ (scores), rows·columns (w · tile), and columnsᵀ·columns (wᵀ · tile).
#define ATT_DOT(s, a, b) ATT_EACH_TURN(t) att_block(s[t], ATT_ID(t), a, ATT_PITCH, 1u, b, ATT_PITCH, 1u)
#define ATT_MUL(s, a, b) ATT_EACH_TURN(t) att_block(s[t], ATT_ID(t), a, ATT_PITCH, 1u, b, 1u, ATT_PITCH)
#define ATT_MUL_T(s, a, b) ATT_EACH_TURN(t) att_block(s[t], ATT_ID(t), a, 1u, ATT_PITCH, b, 1u, ATT_PITCH)

// Score of query i and key j of sequence b with bias and masks, from q·k.
float att_score(float dot_qk, uint b, uint head, uint i, uint j, uint position)
{
    bool seen = i < p.tq && j < p.tk && (p.causal == 0u || j <= i + position);
    if (seen && p.has_mask != 0u)
        seen = mask[b * p.tk + j] != 0;
    if (seen && p.has_bias != 0u)
        dot_qk += rel[head * p.span + (j + p.rel_origin - i - position)];
    return seen ? dot_qk : ATT_MASKED; // one way out: an early return becomes a loop of its own when inlined
}

// SIDE_B = dropout factors of the tile at query row i0, key j0.
void att_keep_tile(uint lid, uint plane, uint i0, uint j0)
{
    for (uint e = lid; e < ATT_TILE * ATT_TILE / 4u; e += WG) {
        const uint r = e / (ATT_TILE / 4u), quad = e % (ATT_TILE / 4u);
        const uvec4 bits = sy_philox(j0 / 4u + quad, i0 + r, p.stream, plane, c.seed_lo, c.seed_hi ^ c.step);
        [[unroll]] for (int x = 0; x < 4; ++x)
            tile[SIDE_B + r * ATT_PITCH + quad * 4u + uint(x)] = bits[x] < p.threshold ? 0.0 : p.scale;
    }
}
