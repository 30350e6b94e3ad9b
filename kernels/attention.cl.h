// SPDX-License-Identifier: Apache-2.0
// attention.cl.h: what attention, attention_dq and attention_dkv share.
//
// 32×32 tiles in local memory, 64 items with 4×4 results each (fewer items take several in turn). CPUs have the variants
// `blocks`.
#ifndef SY_ATTENTION_CL_H
#define SY_ATTENTION_CL_H
#include "attention_score.cl.h"
#include "philox.h"

#define ATT_TILE 32u              // rows of the walked side in one tile; on GPUs also the side of every tile
#define ATT_PITCH (ATT_TILE + 1u) // odd, so that a column falls on different banks
#define ATT_SIZE (ATT_TILE * ATT_PITCH)
#define ATT_CHUNKS (SY_ATTENTION_MAX_DIM / ATT_TILE)
// Chunks are spelled out, not counted by a loop: its index would put all sums into memory where a compiler does not
// unroll what holds barriers.
#if SY_ATTENTION_MAX_DIM != 128
#error "ATT_EACH_CHUNK names four chunks"
#endif
#define ATT_EACH_CHUNK(f) f(0u) f(1u) f(2u) f(3u)
#define ATT_BLOCKS (WG < 64 ? 64 / WG : 1) // 4×4 blocks of one item
// Element x = 4·y + z of an item's block t: rows r0 + 8y, columns c0 + 8z.
#define ATT_ID(t) (lid + (t)*WG)
#define ATT_ROW(t, x) (ATT_ID(t) / 8u + 8u * ((x) / 4u))
#define ATT_COL(t, x) (ATT_ID(t) % 8u + 8u * ((x) % 4u))
#define ATT_BUSY(t) (WG <= 64 || ATT_ID(t) < 64u)

// to[r][d] = x[r][d] for a 32×32 tile; zeros beyond `rows` and `cols`.
ATT_INLINE void att_load_tile(__local float *to, const __global T *x, uint stride, uint rows, uint cols, uint lid)
{
    for (uint e = lid; e < ATT_TILE * ATT_TILE; e += WG) {
        const uint r = e / ATT_TILE, d = e % ATT_TILE;
        to[r * ATT_PITCH + d] = r < rows && d < cols ? T_LD(x, r * stride + d) : 0.0f;
    }
}

// s[4y+z] += Σ_{x < count} a[(r0+8y)·a_row + x·a_step] · b[(c0+8z)·b_col + x·b_step]
// The count is what the tile really holds: its other rows and columns are zeros. That it is no constant keeps compilers
// from spelling out all 32 steps, for which they want more registers than there are and more code than a cache holds.
ATT_INLINE void att_block(float *s, const __local float *a, uint a_row, uint a_step, const __local float *b, uint b_col,
                          uint b_step, uint count, uint id)
{
    a += id / 8u * a_row;
    b += id % 8u * b_col;
    for (uint x = 0; x < count; ++x, a += a_step, b += b_step) {
        const float a0 = a[0], a1 = a[8u * a_row], a2 = a[16u * a_row], a3 = a[24u * a_row];
        const float b0 = b[0], b1 = b[8u * b_col], b2 = b[16u * b_col], b3 = b[24u * b_col];
        s[0] = fma(a0, b0, s[0]), s[1] = fma(a0, b1, s[1]), s[2] = fma(a0, b2, s[2]), s[3] = fma(a0, b3, s[3]);
        s[4] = fma(a1, b0, s[4]), s[5] = fma(a1, b1, s[5]), s[6] = fma(a1, b2, s[6]), s[7] = fma(a1, b3, s[7]);
        s[8] = fma(a2, b0, s[8]), s[9] = fma(a2, b1, s[9]), s[10] = fma(a2, b2, s[10]), s[11] = fma(a2, b3, s[11]);
        s[12] = fma(a3, b0, s[12]), s[13] = fma(a3, b1, s[13]), s[14] = fma(a3, b2, s[14]), s[15] = fma(a3, b3, s[15]);
    }
}
// rows·rowsᵀ (scores), rows·columns (w · tile), and columnsᵀ·columns (wᵀ · tile).
#define ATT_DOT(s, a, b, n, t) att_block(s, a, ATT_PITCH, 1u, b, ATT_PITCH, 1u, n, ATT_ID(t))
#define ATT_MUL(s, a, b, n, t) att_block(s, a, ATT_PITCH, 1u, b, 1u, ATT_PITCH, n, ATT_ID(t))
#define ATT_MUL_T(s, a, b, n, t) att_block(s, a, 1u, ATT_PITCH, b, 1u, ATT_PITCH, n, ATT_ID(t))

// Score of query i and key j with bias and masks; `dot` is q·k, `rel` the head's row, `mask` the sequence's. Loads go
// to clamped places rather than around branches: an item takes 16 scores at once.
ATT_INLINE float att_score(float dot, uint i, uint j, uint position, const __global float *rel,
                           const __global int *mask, const struct sy_attention_args *p)
{
    const uint row = min(i, p->tq - 1u), key = min(j, p->tk - 1u);
    const bool exists = i < p->tq && j < p->tk && (!p->causal || j <= i + position);
    const float score = p->has_bias ? dot + rel[key + p->rel_origin - row - position] : dot;
    const bool seen = !p->has_mask || mask[key] != 0;
    return exists & seen ? score : ATT_MASKED;
}

// keep[i][j] (pitch ATT_PITCH): dropout factors of a tile; 1 where there is no dropout.
ATT_INLINE void att_keep_tile(__local float *keep, uint plane, uint i0, uint j0, uint lid,
                              const struct sy_attention_args *p, __constant struct sy_step *c)
{
    for (uint e = lid; e < ATT_TILE * ATT_TILE / 4u; e += WG) {
        const uint r = e / (ATT_TILE / 4u), quad = e % (ATT_TILE / 4u);
        const uint4 bits = sy_philox(j0 / 4u + quad, i0 + r, p->stream, plane, c->seed_lo, c->seed_hi ^ c->step);
        const float4 f = select((float4)p->scale, (float4)0.0f, bits < (uint4)p->threshold);
        __local float *to = keep + r * ATT_PITCH + quad * 4u;
        to[0] = f.x, to[1] = f.y, to[2] = f.z, to[3] = f.w;
    }
}
#endif
