// SPDX-License-Identifier: Apache-2.0
// pack_b: cuts the transpose of b into panels of 32 columns: p[e][q][k][j] = b[e][32·q + j][k], 0 beyond column N.
//   b  t [batch][N][K]
//   p  t [batch][ceil(N/32)][K][32]; with `pairs` [batch][ceil(N/32)][ceil(K/2)][32][2]: k and k + 1 side by side
// Launch: one work-group per (batch, panel, SY_PACK_ROWS values of k). WG 1: 16 × 16 blocks transposed
//   in registers. WG > 1: 32 × 32 blocks through local memory.
// Determinism: copies bits.
#include "common.cl.h"
#include "tiles.h"
#include "transpose.cl.h"

#if WG == 1
#define SPACE __global
TRANSPOSE_WORDS(transpose_words)
#ifdef T_BF16
TRANSPOSE16(transpose16, ushort, ushort16, STORE16_US)
#else
#define transpose16 transpose_words
#endif

// Columns 32·q … of the weight rows `from`, k0 ≤ k < k1; `cols` of them are real.
static inline void pack_transposed(__global const T *restrict from, uint stride, uint cols, uint k0, uint k1,
                            __global T *restrict to)
{
    uint k = k0;
    if (cols == SY_PANEL)
        for (; k + 16 <= k1; k += 16) {
            for (uint j = 0; j < SY_PANEL; ++j)
                FETCH(from + (size_t)j * stride + min(k + 16u, k1 - 1u), 1u);
            transpose16(from + k, stride, to + (size_t)k * SY_PANEL, SY_PANEL);
            transpose16(from + (size_t)16 * stride + k, stride, to + (size_t)k * SY_PANEL + 16, SY_PANEL);
        }
    for (; k < k1; ++k)
        for (uint j = 0; j < SY_PANEL; ++j)
            to[(size_t)k * SY_PANEL + j] = j < cols ? from[(size_t)j * stride + k] : (T)0;
}

// The same in pairs, k0 even. Two bf16 of a row are one word, so whole blocks are transposed as words.
static inline void pack_pairs(__global const T *restrict from, uint stride, uint cols, uint k0, uint k1,
                              __global T *restrict to)
{
    uint k = k0;
#ifdef T_BF16
    if (cols == SY_PANEL && stride % 2 == 0)
        for (; k + 32 <= k1; k += 32) {
            __global const float *words = (__global const float *)(from + k);
            __global float *out = (__global float *)(to + (size_t)k * SY_PANEL);
            transpose_words(words, stride / 2, out, SY_PANEL);
            transpose_words(words + (size_t)16 * (stride / 2), stride / 2, out + 16, SY_PANEL);
        }
#endif
    for (; k < (k1 + 1) / 2 * 2; ++k)
        for (uint j = 0; j < SY_PANEL; ++j)
            to[((size_t)(k / 2) * SY_PANEL + j) * 2 + k % 2] = j < cols && k < k1 ? from[(size_t)j * stride + k] : (T)0;
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
    const uint depth = p.pairs != 0 ? (p.k + 1) / 2 * 2 : p.k;
    __global T *to = panels + ((size_t)e * count + q) * depth * SY_PANEL;
#if WG == 1
    if (p.pairs != 0)
        pack_pairs(from, p.k, cols, k0, k1, to);
    else
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
        for (uint i = lid; i < 32 * 32; i += WG) {
            const uint dk = p.pairs != 0 ? i / 64 * 2 + i % 2 : i / 32, j = p.pairs != 0 ? i / 2 % 32 : i % 32;
            if (k + dk < k0 + rows && k + dk < depth)
                to[k * SY_PANEL + i] = block[dk * 33 + j];
        }
        BARRIER();
    }
#endif
}
