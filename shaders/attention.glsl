// SPDX-License-Identifier: Apache-2.0
// attention.glsl: what attention, attention_dq and attention_dkv share; the GLSL twin of the WG > 1 part of
// kernels/attention.cl.h. Include after common.glsl and after the bindings q, kv, rel, mask, c and p.
//
// 32×32 tiles in shared memory; the first 64 invocations hold 4×4 results each, so WG must be 64 or more.
#include "philox.h"

#define ATT_TILE 32u
#define ATT_PITCH (ATT_TILE + 1u) // odd, so that a column falls on different banks
#define ATT_SIZE (ATT_TILE * ATT_PITCH)
#define ATT_CHUNKS (SY_ATTENTION_MAX_DIM / 32)
#define SIDE_A 0u // the three tiles, as offsets into `tile`
#define SIDE_B ATT_SIZE
#define WEIGHTS (2u * ATT_SIZE)

// Score of a key that is not seen, lse of a query that sees no key, lse of a query row beyond tq (attention.cl.h).
#define ATT_MASKED (-2e30)
#define ATT_NONE (-1e30)
#define ATT_ABSENT 1e30

shared float tile[3u * ATT_SIZE];

// Element x = 4·y + z of an invocation's block: row r0 + 8y, column c0 + 8z.
#define ATT_ROW(x) (lid / 8u + 8u * (uint(x) / 4u))
#define ATT_COL(x) (lid % 8u + 8u * (uint(x) % 4u))
#define ATT_BUSY (lid < 64u)

// tile[to + …][r][d] = x[at + r·stride + d]; zeros beyond `rows` and `cols`.
#define ATT_LOAD(to, x, at, stride, rows, cols)                                                                 \
    for (uint e_ = lid; e_ < ATT_TILE * ATT_TILE; e_ += WG) {                                                   \
        const uint r_ = e_ / ATT_TILE, d_ = e_ % ATT_TILE;                                                      \
        float value_ = 0.0;                                                                                     \
        if (r_ < (rows) && d_ < (cols))                                                                         \
            value_ = T_LD(x, (at) + r_ * (stride) + d_);                                                        \
        tile[(to) + r_ * ATT_PITCH + d_] = value_;                                                              \
    }

void att_clear(out float s[16])
{
    [[unroll]] for (int x = 0; x < 16; ++x)
        s[x] = 0.0;
}

// s[4y+z] += Σ_x a[(r0+8y)·a_row + x·a_step] · b[(c0+8z)·b_col + x·b_step]
void att_block(inout float s[16], uint lid, uint a, uint a_row, uint a_step, uint b, uint b_col, uint b_step)
{
    a += lid / 8u * a_row;
    b += lid % 8u * b_col;
    for (uint x = 0u; x < ATT_TILE; ++x) {
        float left[4], right[4];
        [[unroll]] for (uint y = 0u; y < 4u; ++y) {
            left[y] = tile[a + 8u * y * a_row];
            right[y] = tile[b + 8u * y * b_col];
        }
        [[unroll]] for (int y = 0; y < 4; ++y)
            [[unroll]] for (int z = 0; z < 4; ++z)
                s[4 * y + z] = fma(left[y], right[z], s[4 * y + z]);
        a += a_step;
        b += b_step;
    }
}
// rows·rowsᵀ (scores), rows·columns (w · tile), and columnsᵀ·columns (wᵀ · tile).
#define ATT_DOT(s, a, b) att_block(s, lid, a, ATT_PITCH, 1u, b, ATT_PITCH, 1u)
#define ATT_MUL(s, a, b) att_block(s, lid, a, ATT_PITCH, 1u, b, 1u, ATT_PITCH)
#define ATT_MUL_T(s, a, b) att_block(s, lid, a, 1u, ATT_PITCH, b, 1u, ATT_PITCH)

// Score of query i and key j of sequence b with bias and masks, from q·k.
float att_score(float dot_qk, uint b, uint head, uint i, uint j, uint position)
{
    if (i >= p.tq || j >= p.tk || (p.causal != 0u && j > i + position))
        return ATT_MASKED;
    if (p.has_mask != 0u)
        if (mask[b * p.tk + j] == 0)
            return ATT_MASKED;
    if (p.has_bias != 0u)
        dot_qk += rel[head * p.span + (j + p.rel_origin - i - position)];
    return dot_qk;
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
