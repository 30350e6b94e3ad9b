// SPDX-License-Identifier: Apache-2.0
// transpose.cl.h: blocks of 16 × 16 elements transposed in registers, for work-groups of one item.
#ifndef SY_TRANSPOSE_CL_H
#define SY_TRANSPOSE_CL_H
#include "common.cl.h"

#define ZIP_LO(V, a, b) \
    (V)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3, a.s4, b.s4, a.s5, b.s5, a.s6, b.s6, a.s7, b.s7)
#define ZIP_HI(V, a, b) \
    (V)(a.s8, b.s8, a.s9, b.s9, a.sa, b.sa, a.sb, b.sb, a.sc, b.sc, a.sd, b.sd, a.se, b.se, a.sf, b.sf)
#define STORE16_F(v, p) vstore16(v, 0, p)
#define STORE16_US(v, p) vstore8(as_uint8(v), 0, (SPACE uint *)(p)) // PoCL 3.1 takes vstore16 of ushort apart

// to[k][j] = from[j][k] for k, j < 16: four perfect shuffles of the sixteen rows, `stride` and `to_stride` apart. E and V
// are an element and a vector of 16 of them, SPACE where `to` points.
#define TRANSPOSE16(name, E, V, STORE)                                                                   \
    static inline void name(__global const E *restrict from, uint stride, SPACE E *restrict to, uint to_stride) \
    {                                                                                                    \
        V x[16], y[16];                                                                                  \
        _Pragma("unroll") for (uint j = 0; j < 16; ++j) x[j] = vload16(0, from + (size_t)j * stride);    \
        _Pragma("unroll") for (uint round = 0; round < 4; ++round)                                       \
        {                                                                                                \
            _Pragma("unroll") for (uint j = 0; j < 8; ++j)                                               \
            {                                                                                            \
                y[2 * j] = ZIP_LO(V, x[j], x[j + 8]);                                                    \
                y[2 * j + 1] = ZIP_HI(V, x[j], x[j + 8]);                                                \
            }                                                                                            \
            _Pragma("unroll") for (uint j = 0; j < 16; ++j) x[j] = y[j];                                 \
        }                                                                                                \
        _Pragma("unroll") for (uint k = 0; k < 16; ++k) STORE(x[k], to + k * to_stride);                 \
    }

// The same for f32, or pairs of bf16. Registers of eight floats hold a block of 16 × 16 twice over, so there pieces of
// 8 × 4 are taken, a row in the lower and another in the upper half, and transposed within the halves.
#if defined(__AVX512F__) && !defined(NO_AVX512)
#define TRANSPOSE_WORDS(name) TRANSPOSE16(name, float, float16, STORE16_F)
#else
#define TRANSPOSE_WORDS(name)                                                                                           \
    static inline void name(__global const float *restrict from, uint stride, SPACE float *restrict to, uint to_stride) \
    {                                                                                                                   \
        _Pragma("unroll") for (uint i = 0; i < 8; ++i)                                                                  \
        {                                                                                                               \
            __global const float *at = from + (size_t)(i / 4 * 8) * stride + i % 4 * 4;                                 \
            float8 x[4];                                                                                                \
            _Pragma("unroll") for (uint j = 0; j < 4; ++j)                                                              \
                x[j] = (float8)(vload4(0, at + (size_t)j * stride), vload4(0, at + (size_t)(j + 4) * stride));          \
            const float8 a = (float8)(x[0].s0, x[1].s0, x[0].s1, x[1].s1, x[0].s4, x[1].s4, x[0].s5, x[1].s5);          \
            const float8 b = (float8)(x[2].s0, x[3].s0, x[2].s1, x[3].s1, x[2].s4, x[3].s4, x[2].s5, x[3].s5);          \
            const float8 c = (float8)(x[0].s2, x[1].s2, x[0].s3, x[1].s3, x[0].s6, x[1].s6, x[0].s7, x[1].s7);          \
            const float8 d = (float8)(x[2].s2, x[3].s2, x[2].s3, x[3].s3, x[2].s6, x[3].s6, x[2].s7, x[3].s7);          \
            SPACE float *out = to + i % 4 * 4 * to_stride + i / 4 * 8;                                                  \
            sy_put((float8)(a.s01, b.s01, a.s45, b.s45), out);                                                          \
            sy_put((float8)(a.s23, b.s23, a.s67, b.s67), out + to_stride);                                              \
            sy_put((float8)(c.s01, d.s01, c.s45, d.s45), out + 2 * to_stride);                                          \
            sy_put((float8)(c.s23, d.s23, c.s67, d.s67), out + 3 * to_stride);                                          \
        }                                                                                                               \
    }
#endif
#endif
