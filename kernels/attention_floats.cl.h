// SPDX-License-Identifier: Apache-2.0
// attention_floats.cl.h: the factors of attention_blocks.cl.h's products where they are f32.
#ifndef SY_ATTENTION_FLOATS_CL_H
#define SY_ATTENTION_FLOATS_CL_H

#define ATT_TILE 32u                           // rows of the walked side in one tile
#define ATT_PITCH (SY_ATTENTION_MAX_DIM + 16u) // an odd number of cache lines, so that rows spread over the cache sets
#define ATT_TILE_SIZE (ATT_TILE * ATT_PITCH)
#define ATT_ROW_PITCH ATT_PITCH
#define ATT_DOWN_PITCH ATT_PITCH
#define FACTOR float
#define ATT_FACTORS(n) (n)
#define ATT_TARGET
#define ATT_PRODUCT ATT_INLINE

// The register block: its sums, the vectors of one k and a broadcast must fit the registers.
#if defined(__AVX512F__) && !defined(NO_AVX512) // 32 registers of 16 floats
#define BLOCK_VEC 16
#else // 16 registers of 8 floats, or 32 of 4
#define BLOCK_VEC 8
#endif
#define YF SY_CAT(float, BLOCK_VEC)
#define Y_LOAD(p) SY_CAT(vload, BLOCK_VEC)(0, p)
#define ATT_ADD(sum, y, each) sum = fma(y, each, sum)

// The first min(n, 8) elements at p, then zeros.
ATT_INLINE float8 att_load8(__global const T *p, uint n)
{
    if (n >= 8u) {
#ifdef T_BF16
        return as_float8(convert_uint8(vload8(0, p)) << 16);
#else
        return vload8(0, p);
#endif
    }
    float part[8];
    sy_put((float8)0.0f, part);
    for (uint i = 0; i < n; ++i)
        part[i] = T_LD(p, i);
    return vload8(0, part);
}

// to[r][d] = x[r][d] as f32; zeros up to whole steps of 8 both ways.
ATT_ONCE void att_load_rows(float *to, __global const T *x, uint stride, uint rows, uint dim)
{
    const uint padded = att_padded(dim);
    for (uint r = 0; r < rows; ++r, to += ATT_PITCH, x += stride)
        for (uint d = 0; d < padded; d += 8u)
            sy_put(att_load8(x + d, dim - d), to + d);
    for (uint r = rows; r < att_padded(rows); ++r, to += ATT_PITCH)
        for (uint d = 0; d < padded; d += 8u)
            sy_put((float8)0.0f, to + d);
}

// to[d][lane] = x[lane][d] in `width` lanes; those from `rows` on are zero.
ATT_ONCE void att_load_lanes(float *to, __global const T *x, uint stride, uint rows, uint dim, uint width)
{
    float part[ATT_HALF * 16u];
    for (uint h = 0; h < width; h += ATT_HALF)
        for (uint d = 0; d < dim; d += 16u) {
            const uint left = dim - d;
            float16 v[16];
            for (uint r = 0; r < ATT_HALF; ++r) {
                __global const T *from = x + (h + r) * stride + d;
                float16 row = 0.0f;
                if (h + r < rows) {
                    row.lo = att_load8(from, left);
                    if (left > 8u)
                        row.hi = att_load8(from + 8u, left - 8u);
                }
                sy_put(row, part + r * 16u);
            }
            ATT_UNROLL for (uint r = 0; r < 16u; ++r) v[r] = vload16(r, part);
            att_transpose(v);
            ATT_UNROLL for (uint i = 0; i < 16u; ++i)
                if (i < 8u || left > 8u)
                    sy_put(v[i], to + (d + i) * ATT_LANES + h);
        }
}

// Rows to sum over lie like rows to sum along: what att_load_rows left is loaded already.
#define att_load_down att_load_rows
#define ATT_LOAD_AGAIN(tile, x, stride, rows, dim)
#define att_weights(s, rows, width) (s)
#endif
