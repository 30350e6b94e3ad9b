// SPDX-License-Identifier: Apache-2.0
// attention_blocks.cl.h: what the variants `blocks` and `dot` of attention, attention_dq and attention_dkv share (CPUs; WG is 1).
//
// A work-group owns 32 rows of one side of one head: queries in attention and attention_dq, keys in attention_dkv. They
// are transposed once, so that they lie side by side in vectors ("lanes"); the rows of the other side come in tiles,
// and every element of those is broadcast. Nothing is ever summed across lanes. What is done element by element
// goes by 16 lanes, which are one SY_REL_BLOCK.
//
// With ATT_PAIRS the same kernels are the variants `dot`: products of pairs of bf16 (attention_pairs.cl.h).
#ifndef SY_ATTENTION_BLOCKS_CL_H
#define SY_ATTENTION_BLOCKS_CL_H
#include "attention_score.cl.h"
#include "exp.cl.h"

#define ATT_LANES 32u // rows of the own side
#define ATT_HALF 16u  // lanes of a float16
#define ATT_UNROLL _Pragma("unroll")
// Compiled once, not once for each place: what is worth a call.
#define ATT_ONCE __attribute__((noinline)) static
#define ATT_LANE_IDS ((uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))

// Dimensions and rows of private arrays come in whole steps of 8; what is not there is zero.
ATT_INLINE uint att_padded(uint n) { return (n + 7u) / 8u * 8u; }

ATT_INLINE float16 att_zip_lo(float16 a, float16 b)
{
    float16 r;
    r.even = a.lo;
    r.odd = b.lo;
    return r;
}
ATT_INLINE float16 att_zip_hi(float16 a, float16 b)
{
    float16 r;
    r.even = a.hi;
    r.odd = b.hi;
    return r;
}

// Transposes 16 × 16 values: each stage rotates the eight bits of an element's place by one.
ATT_ONCE void att_transpose(float16 *v)
{
    ATT_UNROLL for (uint stage = 0; stage < 2u; ++stage)
    {
        float16 w[16];
        ATT_UNROLL for (uint i = 0; i < 8u; ++i)
        {
            w[2u * i] = att_zip_lo(v[i], v[i + 8u]);
            w[2u * i + 1u] = att_zip_hi(v[i], v[i + 8u]);
        }
        ATT_UNROLL for (uint i = 0; i < 8u; ++i)
        {
            v[2u * i] = att_zip_lo(w[i], w[i + 8u]);
            v[2u * i + 1u] = att_zip_hi(w[i], w[i + 8u]);
        }
    }
}

#ifdef ATT_PAIRS
#include "attention_pairs.cl.h"
#else
#include "attention_floats.cl.h"
#endif

// ---- products ------------------------------------------------------------------------------------------------------

// Where a register block's sums begin.
#define ATT_ZERO 0u
#define ATT_SUMS 1u
#define ATT_SHRUNK 2u // the sums times `shrink`, lane by lane

// sums[x][lane] = start + Σ_k lanes[k][lane] · scalars[x·x_step + k·k_step] for `rows` x and `vecs` vectors of lanes.
// The loops over x and v unroll and the arrays become registers. A factor is a float, or a pair of bf16.
#define ATT_BLOCK(name, rows, vecs)                                                                            \
    ATT_PRODUCT void name(float *sums, uint start, const float *shrink, const FACTOR *lanes, const FACTOR *scalars, \
                         uint x_step, uint k_step, uint depth)                                                 \
    {                                                                                                          \
        BF acc[rows][vecs];                                                                                    \
        ATT_UNROLL for (uint v = 0; v < vecs; ++v)                                                             \
        {                                                                                                      \
            const BF by = start == ATT_SHRUNK ? BF_LOAD(shrink + v * BLOCK_VEC) : (BF)(1.0f);                  \
            ATT_UNROLL for (uint x = 0; x < rows; ++x)                                                         \
            {                                                                                                  \
                const float *from = sums + x * ATT_LANES + v * BLOCK_VEC;                                      \
                acc[x][v] = start == ATT_ZERO     ? (BF)(0.0f)                                                 \
                            : start == ATT_SHRUNK ? BF_LOAD(from) * by                                         \
                                                  : BF_LOAD(from);                                             \
            }                                                                                                  \
        }                                                                                                      \
        for (uint k = 0; k < depth; ++k, lanes += ATT_LANES, scalars += k_step) {                              \
            YF y[vecs];                                                                                        \
            ATT_UNROLL for (uint v = 0; v < vecs; ++v) y[v] = Y_LOAD(lanes + v * BLOCK_VEC);                  \
            ATT_UNROLL for (uint x = 0; x < rows; ++x)                                                         \
            {                                                                                                  \
                const YF each = (YF)(scalars[x * x_step]);                                                     \
                ATT_UNROLL for (uint v = 0; v < vecs; ++v) ATT_ADD(acc[x][v], y[v], each);             \
            }                                                                                                  \
        }                                                                                                      \
        ATT_UNROLL for (uint x = 0; x < rows; ++x)                                                             \
            ATT_UNROLL for (uint v = 0; v < vecs; ++v) sy_put(acc[x][v], sums + x * ATT_LANES + v * BLOCK_VEC); \
    }

#define BF SY_CAT(float, BLOCK_VEC)
#define BF_LOAD(p) SY_CAT(vload, BLOCK_VEC)(0, p)
#if BLOCK_VEC == 16
ATT_BLOCK(att_block_8x2, 8u, 2u)
ATT_BLOCK(att_block_8x1, 8u, 1u)
#else
ATT_BLOCK(att_block_6x2, 6u, 2u)
ATT_BLOCK(att_block_4x2, 4u, 2u)
#endif

// The same for `count` x (a multiple of 8) and the first `width` lanes (16 or 32).
ATT_PRODUCT void att_products(float *sums, uint start, const float *shrink, const FACTOR *lanes, const FACTOR *scalars,
                             uint x_step, uint k_step, uint count, uint depth, uint width)
{
#if BLOCK_VEC == 16
    for (uint x = 0; x < count; x += 8u)
        if (width == ATT_LANES)
            att_block_8x2(sums + x * ATT_LANES, start, shrink, lanes, scalars + x * x_step, x_step, k_step, depth);
        else
            att_block_8x1(sums + x * ATT_LANES, start, shrink, lanes, scalars + x * x_step, x_step, k_step, depth);
#else
    for (uint h = 0; h < width; h += ATT_HALF) {
        uint x = 0;
        for (; count - x >= 6u && count - x != 8u; x += 6u) // 8 is two fours
            att_block_6x2(sums + x * ATT_LANES + h, start, shrink + h, lanes + h, scalars + x * x_step, x_step, k_step,
                          depth);
        for (; x < count; x += 4u)
            att_block_4x2(sums + x * ATT_LANES + h, start, shrink + h, lanes + h, scalars + x * x_step, x_step, k_step,
                          depth);
    }
#endif
}

// s[r] = Σ_d lanes[d] · tile[r][d]
ATT_TARGET ATT_ONCE void att_dot(float *s, const FACTOR *lanes, const FACTOR *tile, uint rows, uint dim, uint width)
{
    att_products(s, ATT_ZERO, s, lanes, tile, ATT_ROW_PITCH, 1u, att_padded(rows), ATT_FACTORS(dim), width);
}

// sum[d] += Σ_r w[r] · tile[r][d], of a tile that att_load_down loaded
ATT_TARGET ATT_ONCE void att_accumulate(float *sum, const FACTOR *w, const FACTOR *tile, uint rows, uint dim, uint width)
{
    att_products(sum, ATT_SUMS, sum, w, tile, 1u, ATT_DOWN_PITCH, att_padded(dim), ATT_FACTORS(rows), width);
}

// The same, of sums that shrink first.
ATT_TARGET ATT_ONCE void att_shrink(float *sum, const float *shrink, const FACTOR *w, const FACTOR *tile, uint rows,
                                    uint dim, uint width)
{
    att_products(sum, ATT_SHRUNK, shrink, w, tile, 1u, ATT_DOWN_PITCH, att_padded(dim), ATT_FACTORS(rows), width);
}

// ---- rows and lanes ------------------------------------------------------------------------------------------------

// Stores the first min(n, 8) elements.
ATT_INLINE void att_store8(float8 v, __global T *p, uint n)
{
    if (n >= 8u) {
#ifdef T_BF16
        const uint8 b = as_uint8(v), nan = (b >> 16) | 0x40u;
        const uint8 r = select((b + 0x7fffu + ((b >> 16) & 1u)) >> 16, nan, (b & 0x7fffffffu) > 0x7f800000u);
        sy_put(convert_ushort8(r), p);
#else
        sy_put(v, p);
#endif
        return;
    }
    float part[8];
    sy_put(v, part);
    for (uint i = 0; i < n; ++i)
        T_ST(p, i, part[i]);
}

// x[lane][d] = from[d][lane] for the first `rows` lanes.
ATT_ONCE void att_store_lanes(const float *from, __global T *x, uint stride, uint rows, uint dim)
{
    float part[ATT_HALF * 16u];
    for (uint h = 0; h < rows; h += ATT_HALF)
        for (uint d = 0; d < dim; d += 16u) {
            const uint left = dim - d;
            float16 v[16];
            ATT_UNROLL for (uint i = 0; i < 16u; ++i)
                v[i] = i < 8u || left > 8u ? vload16(0, from + (d + i) * ATT_LANES + h) : (float16)0.0f;
            att_transpose(v);
            ATT_UNROLL for (uint r = 0; r < 16u; ++r) sy_put(v[r], part + r * 16u);
            for (uint r = 0; r < min(ATT_HALF, rows - h); ++r) {
                __global T *to = x + (h + r) * stride + d;
                att_store8(vload8(0, part + r * 16u), to, left);
                if (left > 8u)
                    att_store8(vload8(0, part + r * 16u + 8u), to + 8u, left - 8u);
            }
        }
}

ATT_INLINE void att_clear(float *to, uint rows)
{
    for (uint i = 0; i < rows * ATT_LANES; i += 16u)
        sy_put((float16)0.0f, to + i);
}

// ---- bias, masks, dropout ------------------------------------------------------------------------------------------

// Along a tile the bias index changes by one per row and per lane, so tile row r, lane l finds its value at
// window[ATT_TILE − 1 − r + l]. `at` is the index of row 0, lane 0; `step` the change per lane (−1: queries, 1: keys).
// Clamped: positions outside the table belong to rows or keys that do not exist.
#define ATT_WINDOW (ATT_TILE + ATT_LANES)
ATT_INLINE void att_bias_window(float *window, __global const float *rel, int at, int step, uint span)
{
    const int begin = at - step * ((int)ATT_TILE - 1), end = at + step * (int)ATT_LANES;
    if (min(begin, end) >= 0 && max(begin, end) < (int)span) {
        for (int y = 0; y < (int)ATT_WINDOW; y += 16)
            sy_put(step > 0 ? vload16(0, rel + begin + y) : vload16(0, rel + begin - y - 15).sFEDCBA9876543210, window + y);
        return;
    }
    for (int y = 0; y < (int)ATT_WINDOW; ++y)
        window[y] = rel[clamp(begin + step * y, 0, (int)span - 1)];
}

struct att_bits {
    uint16 x, y, z, w;
};

// Upper and lower halves of a · b. Even and odd lanes are multiplied as 64-bit numbers, which a CPU does in one
// instruction each, where the 32-bit mul_hi takes a dozen.
ATT_INLINE void att_mul(uint a, uint16 b, uint16 *hi, uint16 *lo)
{
    const uint16 even = as_uint16((as_ulong8(b) & 0xffffffffUL) * (ulong)a);
    const uint16 odd = as_uint16((as_ulong8(b) >> 32) * (ulong)a);
    hi->even = even.odd;
    hi->odd = odd.odd;
    *lo = a * b;
}

// sy_philox() of philox.h on 16 counters at once.
ATT_INLINE struct att_bits att_philox(uint16 c0, uint16 c1, uint16 c2, uint16 c3, uint k0, uint k1)
{
    for (uint round = 0u; round < 10u; ++round) {
        uint16 hi0, lo0, hi1, lo1;
        att_mul(0xD2511F53u, c0, &hi0, &lo0);
        att_mul(0xCD9E8D57u, c2, &hi1, &lo1);
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

// keep[r][lane]: dropout factor of query row i0 + lane and key j0 + r, for 16 lanes.
ATT_INLINE void att_keep_keys(float *keep, uint rows, uint plane, uint i0, uint j0, const struct sy_attention_args *p,
                              __constant struct sy_step *c)
{
    for (uint r = 0; r < rows; r += 4u, keep += 4u * ATT_LANES) {
        const struct att_bits bits = att_philox((uint16)((j0 + r) / 4u), ATT_LANE_IDS + i0, (uint16)p->stream,
                                                (uint16)plane, c->seed_lo, c->seed_hi ^ c->step);
        sy_put(att_kept(bits.x, p->threshold, p->scale), keep);
        sy_put(att_kept(bits.y, p->threshold, p->scale), keep + ATT_LANES);
        sy_put(att_kept(bits.z, p->threshold, p->scale), keep + 2u * ATT_LANES);
        sy_put(att_kept(bits.w, p->threshold, p->scale), keep + 3u * ATT_LANES);
    }
}

// Bias and masks of a score whose lanes are 16 queries from `query` on; j: its key, mask: that key's entry.
ATT_INLINE float16 att_masked_key(float16 x, const float *window, __global const int *mask, uint r, uint query, uint j,
                                  bool diagonal, const struct sy_attention_args *p)
{
    if (p->has_bias)
        x += vload16(0, window + (ATT_TILE - 1u - r));
    if (diagonal)
        x = select(x, (float16)ATT_MASKED, (uint16)j > ATT_LANE_IDS + query);
    if (p->has_mask && mask[r] == 0)
        x = (float16)ATT_MASKED;
    return x;
}

// Whether any of the keys is unmasked; a tile of padding is skipped whole.
ATT_INLINE bool att_any(__global const int *mask, uint n)
{
    int any = 0;
    for (uint j = 0; j < n; ++j)
        any |= mask[j];
    return any != 0;
}
#endif
