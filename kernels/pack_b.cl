// SPDX-License-Identifier: Apache-2.0
// pack_b: cuts the transpose of b into panels of 32 columns: p[e][q][k][j] = b[e][32·q + j][k], 0 beyond column N.
//   b  t [batch][N][K]
//   p  t [batch][ceil(N/32)][K][32]
// Launch: one work-group per (batch, panel, SY_PACK_ROWS values of k). WG 1: 16 × 16 blocks transposed
//   in registers. WG > 1: 32 × 32 blocks through local memory.
// Determinism: copies bits.
#include "common.cl.h"
#include "tiles.h"

#if WG == 1
#ifdef T_BF16
#define T16 ushort16
#define STORE16(v, p) vstore8(as_uint8(v), 0, (__global uint *)(p)) // PoCL 3.1 takes vstore16 of ushort apart
#else
#define T16 float16
#define STORE16(v, p) vstore16(v, 0, p)
#endif
#define ZIP_LO(a, b) \
    (T16)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3, a.s4, b.s4, a.s5, b.s5, a.s6, b.s6, a.s7, b.s7)
#define ZIP_HI(a, b) \
    (T16)(a.s8, b.s8, a.s9, b.s9, a.sa, b.sa, a.sb, b.sb, a.sc, b.sc, a.sd, b.sd, a.se, b.se, a.sf, b.sf)

// to[k][j] = from[j][k] for k, j < 16: four perfect shuffles of the sixteen rows.
static inline void transpose16(__global const T *restrict from, uint stride, __global T *restrict to)
{
    T16 x[16], y[16];
    _Pragma("unroll") for (uint j = 0; j < 16; ++j) x[j] = vload16(0, from + (size_t)j * stride);
    _Pragma("unroll") for (uint round = 0; round < 4; ++round)
    {
        _Pragma("unroll") for (uint j = 0; j < 8; ++j)
        {
            y[2 * j] = ZIP_LO(x[j], x[j + 8]);
            y[2 * j + 1] = ZIP_HI(x[j], x[j + 8]);
        }
        _Pragma("unroll") for (uint j = 0; j < 16; ++j) x[j] = y[j];
    }
    _Pragma("unroll") for (uint k = 0; k < 16; ++k) STORE16(x[k], to + k * SY_PANEL);
}

// Columns 32·q … of the weight rows `from`, k0 ≤ k < k1; `cols` of them are real.
static inline void pack_transposed(__global const T *restrict from, uint stride, uint cols, uint k0, uint k1,
                            __global T *restrict to)
{
    uint k = k0;
    if (cols == SY_PANEL)
        for (; k + 16 <= k1; k += 16) {
            transpose16(from + k, stride, to + (size_t)k * SY_PANEL);
            transpose16(from + (size_t)16 * stride + k, stride, to + (size_t)k * SY_PANEL + 16);
        }
    for (; k < k1; ++k)
        for (uint j = 0; j < SY_PANEL; ++j)
            to[(size_t)k * SY_PANEL + j] = j < cols ? from[(size_t)j * stride + k] : (T)0;
}
#endif

KERNEL void pack_b(__global const T *restrict b, __global T *restrict panels, const struct sy_pack_b_args p)
{
    const uint rows = SY_PACK_ROWS(WG), count = (p.n + SY_PANEL - 1) / SY_PANEL, slabs = (p.k + rows - 1) / rows;
    GROUP_GUARD(p.batch * count * slabs);
    const uint k0 = GROUP_ID % slabs * rows, k1 = min(k0 + rows, p.k);
    const uint q = GROUP_ID / slabs % count, e = GROUP_ID / slabs / count;
    const uint cols = min(p.n - q * SY_PANEL, (uint)SY_PANEL); // real ones
    __global const T *from = b + ((size_t)e * p.n + q * SY_PANEL) * p.k;
    __global T *to = panels + ((size_t)e * count + q) * p.k * SY_PANEL;
#if WG == 1
    pack_transposed(from, p.k, cols, k0, k1, to);
#else
    const uint lid = LOCAL_ID;
    __local T block[32 * 33]; // one column more than used: no bank conflicts either way
    for (uint k = k0; k < k1; k += 32) {
        for (uint i = lid; i < 32 * 32; i += WG) { // neighbours read along b's rows
            const uint dk = i % 32, j = i / 32;
            block[dk * 33 + j] = k + dk < k1 && j < cols ? from[(size_t)j * p.k + k + dk] : (T)0;
        }
        BARRIER();
        for (uint i = lid; i < 32 * 32; i += WG)
            if (k + i / 32 < k1)
                to[k * SY_PANEL + i] = block[i / 32 * 33 + i % 32];
        BARRIER();
    }
#endif
}
