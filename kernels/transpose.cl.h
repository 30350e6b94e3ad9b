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
#endif
