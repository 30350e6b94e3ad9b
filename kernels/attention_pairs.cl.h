// SPDX-License-Identifier: Apache-2.0
// attention_pairs.cl.h: the factors of attention_blocks.cl.h's products where they are pairs of bf16, for x86 CPUs with AVX-512
// for bf16: one instruction adds the products of two values of k to 16 sums.
//
// q, k, v and do are taken as they are stored. Probabilities and ds, which are summed over rows, are rounded to bf16 first,
// as storing them would; maxima, sums and exponentials stay f32.
#ifndef SY_ATTENTION_PAIRS_CL_H
#define SY_ATTENTION_PAIRS_CL_H
#include "dot.cl.h"

#define ATT_TILE 64u                                    // rows of the walked side in one tile
#define ATT_ROW_PITCH (SY_ATTENTION_MAX_DIM / 2u + 16u) // words; an odd number of cache lines
#define ATT_DOWN_PITCH (SY_ATTENTION_MAX_DIM + 16u)
#define ATT_TILE_SIZE (ATT_TILE * ATT_ROW_PITCH)
#define FACTOR uint
#define ATT_FACTORS(n) (((n) + 1u) / 2u)
#define ATT_TARGET DOT
#define ATT_PRODUCT DOT __attribute__((always_inline)) static inline

#define BLOCK_VEC 16
#define YF uint16
#define Y_LOAD(p) vload16(0, p)
#define ATT_ADD(sum, y, each) DOT_PAIRS(sum, each, y)

typedef ushort att_us32 __attribute__((ext_vector_type(32)));
typedef ushort att_us32_in __attribute__((ext_vector_type(32), aligned(2)));
#define ATT_WORDS(v) __builtin_astype(v, uint16)

// The first min(n, 32) elements at p, then zeros.
ATT_INLINE att_us32 att_load32(__global const T *p, uint n)
{
    if (n >= 32u)
        return *(__global const att_us32_in *)p;
    uint part[16];
    sy_put((float16)0.0f, (float *)part);
    uint i = 0;
    for (; i + 8u <= n; i += 8u)
        sy_put(as_float4(vload8(0, p + i)), (float *)part + i / 2u);
    for (; i < n; i += 2u)
        part[i / 2u] = p[i] | (i + 1u < n ? (uint)p[i + 1u] << 16 : 0u);
    return __builtin_astype(vload16(0, part), att_us32);
}

// to[r][d / 2] = x[r][d, d + 1]; zeros up to whole steps of 32 elements, and of 8 rows.
ATT_TARGET ATT_ONCE void att_load_rows(uint *to, __global const T *x, uint stride, uint rows, uint dim)
{
    for (uint r = 0; r < att_padded(rows); ++r, to += ATT_ROW_PITCH, x += stride)
        for (uint d = 0; d < dim; d += 32u)
            sy_put(as_float16(r < rows ? ATT_WORDS(att_load32(x + d, dim - d)) : (uint16)0u), (float *)to + d / 2u);
}

// to[r / 2][d] = x[r, r + 1][d]; zeros up to whole steps of 32 elements, and after an odd last row.
ATT_TARGET ATT_ONCE void att_load_down(uint *to, __global const T *x, uint stride, uint rows, uint dim)
{
    for (uint r = 0; r < rows; r += 2u, to += ATT_DOWN_PITCH, x += 2u * stride)
        for (uint d = 0; d < dim; d += 32u) {
            const att_us32 a = att_load32(x + d, dim - d);
            const att_us32 b = r + 1u < rows ? att_load32(x + stride + d, dim - d) : (att_us32)(0);
            sy_put(as_float16(ATT_WORDS(__builtin_shufflevector(a, b, 0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8,
                                                                40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47))),
                   (float *)to + d);
            if (dim - d > 16u)
                sy_put(as_float16(ATT_WORDS(__builtin_shufflevector(a, b, 16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54,
                                                                    23, 55, 24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62,
                                                                    31, 63))),
                       (float *)to + d + 16u);
        }
}

// to[d / 2][lane] = x[lane][d, d + 1] in `width` lanes; those from `rows` on are zero.
ATT_TARGET ATT_ONCE void att_load_lanes(uint *to, __global const T *x, uint stride, uint rows, uint dim, uint width)
{
    for (uint h = 0; h < width; h += ATT_HALF)
        for (uint d = 0; d < dim; d += 32u) {
            float part[ATT_HALF * 16u];
            float16 v[16];
            for (uint r = 0; r < ATT_HALF; ++r)
                sy_put(as_float16(h + r < rows ? ATT_WORDS(att_load32(x + (h + r) * stride + d, dim - d)) : (uint16)0u),
                       part + r * 16u);
            ATT_UNROLL for (uint r = 0; r < 16u; ++r) v[r] = vload16(r, part);
            att_transpose(v);
            for (uint i = 0; i < min(16u, ATT_FACTORS(dim - d)); ++i)
                sy_put(v[i], (float *)to + (d / 2u + i) * ATT_LANES + h);
        }
}

// What was loaded to sum along rows is loaded again to sum over them.
#define ATT_LOAD_AGAIN att_load_down

// s[r / 2][lane] = s[r, r + 1][lane] rounded; a row that is not there is zero. Row r / 2 is read no later than it is written.
ATT_TARGET ATT_ONCE const uint *att_weights(float *s, uint rows, uint width)
{
    for (uint r = 0; r < rows; r += 2u)
        for (uint h = 0; h < width; h += ATT_HALF) {
            const float *from = s + r * ATT_LANES + h;
            const float16 low = vload16(0, from), high = r + 1u < rows ? vload16(0, from + ATT_LANES) : (float16)0.0f;
            sy_put(as_float16(dot_round(low, high)), s + r / 2u * ATT_LANES + h);
        }
    return (const uint *)s;
}
#endif
