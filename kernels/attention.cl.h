// SPDX-License-Identifier: Apache-2.0
// attention.cl.h: what attention, attention_dq and attention_dkv share.
//
// WG == 1 (CPUs): the 16 lanes of a float16 are 16 rows of one side: queries in attention and attention_dq, keys in
// attention_dkv. They are transposed once; the rows of the other side come in tiles and every element of them is
// broadcast. Nothing is ever summed across lanes. The lanes stay 16 whatever VEC is: they are one SY_REL_BLOCK.
//
// WG > 1 (GPUs): 32×32 tiles in local memory, 64 items with 4×4 results each (fewer items take several in turn).
#ifndef SY_ATTENTION_CL_H
#define SY_ATTENTION_CL_H
#include "philox.h"

// Forced: private arrays must stay in registers, and PoCL 3.1 loses the writes of a helper that is left a call between
// two barriers.
#define ATT_INLINE __attribute__((always_inline)) static inline

#define ATT_TILE 32u  // rows of the walked side in one tile; on GPUs also the side of every tile
#define ATT_LANES 16u // = SY_REL_BLOCK

// Score of a key that is not seen, and lse of a query that sees no key: exp(masked − none) and exp(masked − any lse)
// are 0 without a special case and without an infinity. A query row beyond tq gets the lse `absent`: its p are 0.
#define ATT_MASKED (-2e30f)
#define ATT_NONE (-1e30f)
#define ATT_ABSENT 1e30f

// ds = p·(dp − delta) with p = exp(x), x = score − lse. At x = 0 one key has all the weight and ds is 0, of which
// rounding would leave a little: enough for Adafactor to move q and k of a query that sees one key only.
#define ATT_DS(zero, x, prob, dp, delta) select((prob) * ((dp) - (delta)), zero, (x) >= 0.0f)

#if WG == 1
#define ATT_PITCH (SY_ATTENTION_MAX_DIM + 16u) // an odd number of cache lines, so that rows spread over the cache sets
#define ATT_LANE_IDS ((uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))

// e^x to about 1 ulp for x ≤ 88; 0 below −87. Written out because exp(float16) falls apart into 16 calls on some
// drivers.
ATT_INLINE float16 att_exp(float16 x)
{
    const float16 y = clamp(x, -88.0f, 88.0f);
    const float16 n = (y * 1.44269504f + 12582912.0f) - 12582912.0f; // nearest integer: contraction is off
    const float16 r = fma(n, (float16)2.12194440e-4f, fma(n, (float16)-0.693359375f, y));
    float16 e = fma(r, (float16)1.9875691500e-4f, (float16)1.3981999507e-3f);
    e = fma(e, r, (float16)8.3334519073e-3f);
    e = fma(e, r, (float16)4.1665795894e-2f);
    e = fma(e, r, (float16)1.6666665459e-1f);
    e = fma(e, r, (float16)5.0000001201e-1f);
    e = fma(e, r * r, r + 1.0f);
    return select((float16)0.0f, e * as_float16((convert_int16(n) + 127) << 23), x > -87.0f);
}

struct att_bits {
    uint16 x, y, z, w;
};

// sy_philox() of philox.h on 16 counters at once.
ATT_INLINE struct att_bits att_philox(uint16 c0, uint16 c1, uint16 c2, uint16 c3, uint k0, uint k1)
{
    for (uint round = 0u; round < 10u; ++round) {
        const uint16 hi0 = mul_hi((uint16)0xD2511F53u, c0), lo0 = 0xD2511F53u * c0;
        const uint16 hi1 = mul_hi((uint16)0xCD9E8D57u, c2), lo1 = 0xCD9E8D57u * c2;
        c0 = hi1 ^ c1 ^ k0;
        c1 = lo1;
        c2 = hi0 ^ c3 ^ k1;
        c3 = lo0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    const struct att_bits r = {c0, c1, c2, c3};
    return r;
}

ATT_INLINE float16 att_kept(uint16 bits, uint threshold, float scale)
{
    return select((float16)scale, (float16)0.0f, bits < threshold);
}

// Dimensions are padded with zeros to whole steps of 8 in private arrays.
ATT_INLINE uint att_padded(uint n) { return (n + 7u) / 8u * 8u; }

// to[d][lane] = x[lane][d]; lanes from `rows` on are zero.
ATT_INLINE void att_load_lanes(float *to, const __global T *x, uint stride, uint rows, uint dim)
{
    for (uint i = 0; i < att_padded(dim); ++i)
        vstore16((float16)0.0f, i, to);
    for (uint r = 0; r < rows; ++r)
        for (uint d = 0; d < dim; ++d)
            to[d * ATT_LANES + r] = T_LD(x, r * stride + d);
}

// x[lane][d] = from[d][lane] for the first `rows` lanes.
ATT_INLINE void att_store_lanes(const float *from, __global T *x, uint stride, uint rows, uint dim)
{
    for (uint r = 0; r < rows; ++r)
        for (uint d = 0; d < dim; ++d)
            T_ST(x, r * stride + d, from[d * ATT_LANES + r]);
}

// to[r][d] = x[r][d] as f32; zeros up to whole steps of 8 both ways.
ATT_INLINE void att_load_rows(float *to, const __global T *x, uint stride, uint rows, uint dim)
{
    const uint padded = att_padded(dim);
    for (uint r = 0; r < rows; ++r, to += ATT_PITCH, x += stride) {
        uint d = 0;
        for (; d + VEC <= dim; d += VEC)
            V_STORE(T_LDV(x, d), 0, to + d);
        for (; d < dim; ++d)
            to[d] = T_LD(x, d);
        for (; d < padded; ++d)
            to[d] = 0.0f;
    }
    for (uint r = rows; r < att_padded(rows); ++r, to += ATT_PITCH)
        for (uint d = 0; d < padded; ++d)
            to[d] = 0.0f;
}

// s[r] = Σ_d lanes[d] · tile[r][d]
ATT_INLINE void att_dot(float *s, const float *lanes, const float *tile, uint rows, uint dim)
{
    const uint padded = att_padded(dim);
    for (uint r = 0; r < rows; r += 8u, tile += 8u * ATT_PITCH) {
        float16 s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f, s4 = 0.0f, s5 = 0.0f, s6 = 0.0f, s7 = 0.0f;
        for (uint d = 0; d < padded; ++d) {
            const float16 x = vload16(d, lanes);
            s0 = fma(x, (float16)tile[d], s0);
            s1 = fma(x, (float16)tile[d + ATT_PITCH], s1);
            s2 = fma(x, (float16)tile[d + 2u * ATT_PITCH], s2);
            s3 = fma(x, (float16)tile[d + 3u * ATT_PITCH], s3);
            s4 = fma(x, (float16)tile[d + 4u * ATT_PITCH], s4);
            s5 = fma(x, (float16)tile[d + 5u * ATT_PITCH], s5);
            s6 = fma(x, (float16)tile[d + 6u * ATT_PITCH], s6);
            s7 = fma(x, (float16)tile[d + 7u * ATT_PITCH], s7);
        }
        vstore16(s0, r, s), vstore16(s1, r + 1u, s), vstore16(s2, r + 2u, s), vstore16(s3, r + 3u, s);
        vstore16(s4, r + 4u, s), vstore16(s5, r + 5u, s), vstore16(s6, r + 6u, s), vstore16(s7, r + 7u, s);
    }
}

// sum[d] += Σ_r w[r] · tile[r][d]
ATT_INLINE void att_accumulate(float *sum, const float *w, const float *tile, uint rows, uint dim)
{
    for (uint d = 0; d < dim; d += 8u, tile += 8u) {
        float16 s0 = vload16(d, sum), s1 = vload16(d + 1u, sum), s2 = vload16(d + 2u, sum), s3 = vload16(d + 3u, sum);
        float16 s4 = vload16(d + 4u, sum), s5 = vload16(d + 5u, sum), s6 = vload16(d + 6u, sum);
        float16 s7 = vload16(d + 7u, sum);
        const float *t = tile;
        for (uint r = 0; r < rows; ++r, t += ATT_PITCH) {
            const float16 x = vload16(r, w);
            s0 = fma(x, (float16)t[0], s0);
            s1 = fma(x, (float16)t[1], s1);
            s2 = fma(x, (float16)t[2], s2);
            s3 = fma(x, (float16)t[3], s3);
            s4 = fma(x, (float16)t[4], s4);
            s5 = fma(x, (float16)t[5], s5);
            s6 = fma(x, (float16)t[6], s6);
            s7 = fma(x, (float16)t[7], s7);
        }
        vstore16(s0, d, sum), vstore16(s1, d + 1u, sum), vstore16(s2, d + 2u, sum), vstore16(s3, d + 3u, sum);
        vstore16(s4, d + 4u, sum), vstore16(s5, d + 5u, sum), vstore16(s6, d + 6u, sum), vstore16(s7, d + 7u, sum);
    }
}

// Along a tile the bias index changes by one per row and per lane, so tile row r, lane l finds its value at
// window[ATT_TILE − 1 − r + l]. `at` is the index of row 0, lane 0; `step` the change per lane (−1: queries, 1: keys).
// Clamped: positions outside the table belong to rows or keys that do not exist.
ATT_INLINE void att_bias_window(float *window, const __global float *rel, int at, int step, uint span)
{
    for (int y = 0; y < (int)(ATT_TILE + ATT_LANES); ++y)
        window[y] = rel[clamp(at + step * (y + 1 - (int)ATT_TILE), 0, (int)span - 1)];
}

// Bias and masks of a score tile whose lanes are queries and whose rows are keys. `mask` points at key j0's entry.
ATT_INLINE void att_mask_keys(float *s, const float *window, const __global int *mask, uint rows, uint query, uint j0,
                              const struct sy_attention_args *p)
{
    const bool diagonal = p->causal && j0 + rows - 1u > query;
    const uint16 last = ATT_LANE_IDS + query;
    for (uint r = 0; r < rows; ++r) {
        float16 x = vload16(r, s);
        if (p->has_bias)
            x += vload16(0, window + (ATT_TILE - 1u - r));
        if (diagonal)
            x = select(x, (float16)ATT_MASKED, (uint16)(j0 + r) > last);
        if (p->has_mask && mask[r] == 0)
            x = (float16)ATT_MASKED;
        vstore16(x, r, s);
    }
}

// keep[r][lane]: dropout factor of query row i0 + lane and key j0 + r.
ATT_INLINE void att_keep_keys(float *keep, uint rows, uint plane, uint i0, uint j0, const struct sy_attention_args *p,
                              __constant struct sy_step *c)
{
    for (uint r = 0; r < rows; r += 4u) {
        const struct att_bits bits = att_philox((uint16)((j0 + r) / 4u), ATT_LANE_IDS + i0, (uint16)p->stream,
                                                (uint16)plane, c->seed_lo, c->seed_hi ^ c->step);
        vstore16(att_kept(bits.x, p->threshold, p->scale), r, keep);
        vstore16(att_kept(bits.y, p->threshold, p->scale), r + 1u, keep);
        vstore16(att_kept(bits.z, p->threshold, p->scale), r + 2u, keep);
        vstore16(att_kept(bits.w, p->threshold, p->scale), r + 3u, keep);
    }
}

// Whether any of the keys is unmasked; a tile of padding is skipped whole.
ATT_INLINE bool att_any(const __global int *mask, uint n)
{
    int any = 0;
    for (uint j = 0; j < n; ++j)
        any |= mask[j];
    return any != 0;
}
#else
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
#endif
