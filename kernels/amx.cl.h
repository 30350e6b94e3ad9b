// SPDX-License-Identifier: Apache-2.0
// amx.cl.h: products on the matrix unit of x86 CPUs (AMX), for matmul_amx and matmul_dw_amx, in work-groups of one item.
//
// A tile is 16 rows of 64 bytes. C has 16 × 16 floats in one, A 16 rows of 32 bf16; B's rows are pairs of k, each row 16
// columns of two bf16: [k/2][column][2]. One instruction adds the products of 32 values of k to 256 sums, and takes 16
// clocks; a tile from the first cache takes 8. A block of 48 × 32 outputs takes 8 tiles for 6 instructions.
//
// A group copies its rows of A, AMX_DEPTH values of k at a time, to private memory, padded with zeros to whole tiles: rows
// of a large matrix lie a power of two apart and would share cache sets. B comes in pairs from pack_b, or is paired here.
// Sums wait in private memory as in panel.cl.h.
//
// The compiler's vectors stay f32 elsewhere; only functions marked AMX contain these instructions. It may name tiles as
// it likes, so all eight have one shape.
//
// With DOT_BF16 the same copies go through AVX-512's products of pairs of bf16 (vdpbf16ps) instead, in panel.cl.h's blocks
// of 12 rows of 32 columns: twice the products of an fma.
#ifndef SY_AMX_CL_H
#define SY_AMX_CL_H
#include "panel.cl.h"
#define SPACE
#include "transpose.cl.h"

#define AMX_ROWS 48u               // rows of A at a time
#define AMX_DEPTH 512u             // values of k of a slab, a multiple of 32
#define AMX_LD (AMX_DEPTH + 32u)   // between rows of the copy of A: 1,088 bytes, no power of two
#define AMX_STEPS(depth) (((depth) + 31u) / 32u)
#define AMX_TILES(rows) (((rows) + 15u) / 16u)

#ifdef DOT_BF16
#include "dot.cl.h"
static inline void amx_begin(void) {}
static inline void amx_end(void) {}

// sums[rows][32] += A · B for `pairs` pairs of k. The row loops unroll and the arrays become registers.
#define DOT_BLOCK(name, rows)                                                                                       \
    DOT static void name(const ushort *a, const uint *b, uint pairs, float *sums)                                   \
    {                                                                                                               \
        float16 lo[rows], hi[rows];                                                                                 \
        _Pragma("unroll") for (uint r = 0; r < rows; ++r)                                                           \
        {                                                                                                           \
            lo[r] = vload16(0, sums + r * SY_PANEL);                                                                \
            hi[r] = vload16(1, sums + r * SY_PANEL);                                                                \
        }                                                                                                           \
        for (uint k = 0; k < pairs; ++k, b += SY_PANEL) {                                                           \
            const uint16 b_lo = vload16(0, b), b_hi = vload16(1, b);                                                \
            _Pragma("unroll") for (uint r = 0; r < rows; ++r)                                                       \
            {                                                                                                       \
                const uint16 v = (uint16)(*(const uint *)(a + r * AMX_LD + 2 * k));                                 \
                DOT_PAIRS(lo[r], v, b_lo);                                                                          \
                DOT_PAIRS(hi[r], v, b_hi);                                                                          \
            }                                                                                                       \
        }                                                                                                           \
        _Pragma("unroll") for (uint r = 0; r < rows; ++r)                                                           \
        {                                                                                                           \
            sy_put(lo[r], sums + r * SY_PANEL);                                                                     \
            sy_put(hi[r], sums + r * SY_PANEL + 16);                                                                \
        }                                                                                                           \
    }
DOT_BLOCK(dot_block, 12)
DOT_BLOCK(dot_rest, 4)

// sums[rows][32] += A · B for `steps` times 32 values of k; a is a copy with AMX_LD, b pairs.
static inline void amx_products(const ushort *a, uint rows, const uint *b, uint steps, float *sums)
{
    uint r = 0;
    for (; r + 12 <= rows; r += 12)
        dot_block(a + r * AMX_LD, b, 16 * steps, sums + r * SY_PANEL);
    for (; r < rows; r += 4)
        dot_rest(a + r * AMX_LD, b, 16 * steps, sums + r * SY_PANEL);
}
#else
#define AMX __attribute__((target("amx-tile,amx-bf16")))

// Tiles may be used between these two.
AMX static void amx_begin(void)
{
    uchar shape[64];
    for (uint i = 0; i < 64; ++i)
        shape[i] = i == 0 ? 1 : i >= 16 && i < 32 && i % 2 == 0 ? 64 : i >= 48 && i < 56 ? 16 : 0;
    __builtin_ia32_tile_loadconfig(shape);
}

AMX static void amx_end(void) { __builtin_ia32_tilerelease(); }

// sums[16 · rows][32] += A · B for `steps` times 32 values of k. The numbers of tiles must be constants.
#define AMX_C(i, sums) (sums) + (i) / 2 * 16 * SY_PANEL + (i) % 2 * 16, 4 * SY_PANEL
#define AMX_A(i) at + 16 * AMX_LD * (i), 2 * AMX_LD
#define AMX_B(i) pairs + 16 * (i), 4 * SY_PANEL
#define AMX_EACH(b, steps, step)                                                          \
    for (uint s = 0; s < (steps); ++s) {                                                  \
        const ushort *at = a + 32 * s;                                                    \
        const uint *pairs = (b) + 16 * SY_PANEL * s;                                      \
        step                                                                              \
    }
AMX static void amx_1(const ushort *a, const uint *b, uint steps, float *sums)
{
    __builtin_ia32_tileloadd64(0, AMX_C(0, sums));
    __builtin_ia32_tileloadd64(1, AMX_C(1, sums));
    AMX_EACH(b, steps, {
        __builtin_ia32_tileloadd64(4, AMX_A(0));
        __builtin_ia32_tileloadd64(6, AMX_B(0));
        __builtin_ia32_tileloadd64(7, AMX_B(1));
        __builtin_ia32_tdpbf16ps(0, 4, 6);
        __builtin_ia32_tdpbf16ps(1, 4, 7);
    })
    __builtin_ia32_tilestored64(0, AMX_C(0, sums));
    __builtin_ia32_tilestored64(1, AMX_C(1, sums));
}

AMX static void amx_2(const ushort *a, const uint *b, uint steps, float *sums)
{
    __builtin_ia32_tileloadd64(0, AMX_C(0, sums));
    __builtin_ia32_tileloadd64(1, AMX_C(1, sums));
    __builtin_ia32_tileloadd64(2, AMX_C(2, sums));
    __builtin_ia32_tileloadd64(3, AMX_C(3, sums));
    AMX_EACH(b, steps, {
        __builtin_ia32_tileloadd64(4, AMX_A(0));
        __builtin_ia32_tileloadd64(6, AMX_B(0));
        __builtin_ia32_tdpbf16ps(0, 4, 6);
        __builtin_ia32_tileloadd64(7, AMX_B(1));
        __builtin_ia32_tdpbf16ps(1, 4, 7);
        __builtin_ia32_tileloadd64(5, AMX_A(1));
        __builtin_ia32_tdpbf16ps(2, 5, 6);
        __builtin_ia32_tdpbf16ps(3, 5, 7);
    })
    __builtin_ia32_tilestored64(0, AMX_C(0, sums));
    __builtin_ia32_tilestored64(1, AMX_C(1, sums));
    __builtin_ia32_tilestored64(2, AMX_C(2, sums));
    __builtin_ia32_tilestored64(3, AMX_C(3, sums));
}

AMX static void amx_3(const ushort *a, const uint *b, uint steps, float *sums)
{
    __builtin_ia32_tileloadd64(0, AMX_C(0, sums));
    __builtin_ia32_tileloadd64(1, AMX_C(1, sums));
    __builtin_ia32_tileloadd64(2, AMX_C(2, sums));
    __builtin_ia32_tileloadd64(3, AMX_C(3, sums));
    __builtin_ia32_tileloadd64(4, AMX_C(4, sums));
    __builtin_ia32_tileloadd64(5, AMX_C(5, sums));
    AMX_EACH(b, steps, {
        __builtin_ia32_tileloadd64(7, AMX_B(0));
        __builtin_ia32_tileloadd64(6, AMX_A(0));
        __builtin_ia32_tdpbf16ps(0, 6, 7);
        __builtin_ia32_tileloadd64(6, AMX_A(1));
        __builtin_ia32_tdpbf16ps(2, 6, 7);
        __builtin_ia32_tileloadd64(6, AMX_A(2));
        __builtin_ia32_tdpbf16ps(4, 6, 7);
        __builtin_ia32_tileloadd64(7, AMX_B(1));
        __builtin_ia32_tdpbf16ps(5, 6, 7);
        __builtin_ia32_tileloadd64(6, AMX_A(1));
        __builtin_ia32_tdpbf16ps(3, 6, 7);
        __builtin_ia32_tileloadd64(6, AMX_A(0));
        __builtin_ia32_tdpbf16ps(1, 6, 7);
    })
    __builtin_ia32_tilestored64(0, AMX_C(0, sums));
    __builtin_ia32_tilestored64(1, AMX_C(1, sums));
    __builtin_ia32_tilestored64(2, AMX_C(2, sums));
    __builtin_ia32_tilestored64(3, AMX_C(3, sums));
    __builtin_ia32_tilestored64(4, AMX_C(4, sums));
    __builtin_ia32_tilestored64(5, AMX_C(5, sums));
}

// sums[rows][32] += A · B; a is a copy with AMX_LD, b whole tiles of pairs.
AMX static void amx_products(const ushort *a, uint rows, const uint *b, uint steps, float *sums)
{
    if (AMX_TILES(rows) == 3)
        amx_3(a, b, steps, sums);
    else if (AMX_TILES(rows) == 2)
        amx_2(a, b, steps, sums);
    else
        amx_1(a, b, steps, sums);
}

#endif

// Zeros after `depth` values of k of `rows` rows of the copy, and rows up to a whole tile.
static inline void amx_pad(ushort *a, uint rows, uint depth)
{
    for (uint r = 0; r < 16 * AMX_TILES(rows); ++r)
        SCALARS for (uint k = r < rows ? depth : 0; k < 32 * AMX_STEPS(depth); ++k)
            a[r * AMX_LD + k] = 0;
}

// Rows of b, `stride` apart, of which `cols` ≤ 32 elements count, in pairs; zeros up to whole tiles.
static inline void amx_pair(__global const ushort *restrict b, uint stride, uint cols, uint depth, uint *restrict to)
{
    for (uint k = 0; k < 32 * AMX_STEPS(depth); k += 2, to += SY_PANEL) {
        __global const ushort *low = b + (size_t)k * stride, *high = low + stride;
        if (cols == SY_PANEL && k + 1 < depth)
            for (uint j = 0; j < SY_PANEL; j += 16)
                sy_put(as_float16(convert_uint16(vload16(0, low + j)) | convert_uint16(vload16(0, high + j)) << 16),
                       (float *)(to + j));
        else
            SCALARS for (uint j = 0; j < SY_PANEL; ++j)
                to[j] = (j < cols && k < depth ? low[j] : 0u) | (j < cols && k + 1 < depth ? (uint)high[j] << 16 : 0u);
    }
}
#endif
