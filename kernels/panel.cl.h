// SPDX-License-Identifier: Apache-2.0
// panel.cl.h: the register block of matmul_packed and matmul_dw_packed for a work-group of one item.
//
// A tile of A is copied, PANEL_K deep, into private memory as f32: rows of a large matrix lie a power of two apart and
// would share cache sets, and bf16 is converted once for all panels. Partial sums wait in private memory between slabs
// of k, so that every output stays one chain of fma over ascending k.
//
// The includer defines PANEL_A_ROW and PANEL_A_K: element (row, k) of the copy is a[row·PANEL_A_ROW + k·PANEL_A_K].
#ifndef SY_PANEL_CL_H
#define SY_PANEL_CL_H
#include "common.cl.h"
#include "tiles.h"

#define PANEL_K 256u
#define PANEL_ROWS SY_TILE_ROWS_CPU
#define PANEL_SUMS (PANEL_ROWS * SY_PANEL) // partial sums of one panel

// Rows of the register block: two float16 of sums each, two of B and a broadcast must fit the registers.
#ifdef __AVX512F__
#define BLOCK_ROWS 12u
#else
#define BLOCK_ROWS 4u
#endif

static inline float16 panel_load(__global const T *p)
{
#ifdef T_BF16
    return as_float16(convert_uint16(vload16(0, p)) << 16);
#else
    return vload16(0, p);
#endif
}

// sums[rows][32] += Σ_k a(row, k) · panel[k][32]. The row loops unroll and the arrays become registers.
#define PANEL_BLOCK(name, rows)                                                                                   \
    inline void name(const float *restrict a, __global const T *restrict panel, uint depth, float *restrict sums) \
    {                                                                                                             \
        float16 lo[rows], hi[rows];                                                                               \
        _Pragma("unroll") for (uint r = 0; r < rows; ++r)                                                         \
        {                                                                                                         \
            lo[r] = vload16(2 * r, sums);                                                                         \
            hi[r] = vload16(2 * r + 1, sums);                                                                     \
        }                                                                                                         \
        for (uint k = 0; k < depth; ++k) {                                                                        \
            const float16 b_lo = panel_load(panel + k * SY_PANEL), b_hi = panel_load(panel + k * SY_PANEL + 16);  \
            _Pragma("unroll") for (uint r = 0; r < rows; ++r)                                                     \
            {                                                                                                     \
                const float16 v = (float16)(a[r * PANEL_A_ROW + k * PANEL_A_K]);                                  \
                lo[r] = fma(v, b_lo, lo[r]);                                                                      \
                hi[r] = fma(v, b_hi, hi[r]);                                                                      \
            }                                                                                                     \
        }                                                                                                         \
        _Pragma("unroll") for (uint r = 0; r < rows; ++r)                                                         \
        {                                                                                                         \
            vstore16(lo[r], 2 * r, sums);                                                                         \
            vstore16(hi[r], 2 * r + 1, sums);                                                                     \
        }                                                                                                         \
    }
PANEL_BLOCK(panel_block, BLOCK_ROWS)
PANEL_BLOCK(panel_block4, 4u)

// A multiple of 4: the rows a tile of `rows` takes in the copy; the includer fills the surplus with zeros.
#define PANEL_PADDED(rows) (((rows) + 3u) / 4u * 4u)

static inline void panel_products(const float *restrict a, uint rows, __global const T *restrict panel, uint depth,
                           float *restrict sums)
{
    uint r = 0;
    for (; r + BLOCK_ROWS <= PANEL_PADDED(rows); r += BLOCK_ROWS)
        panel_block(a + r * PANEL_A_ROW, panel, depth, sums + r * SY_PANEL);
    for (; r < PANEL_PADDED(rows); r += 4)
        panel_block4(a + r * PANEL_A_ROW, panel, depth, sums + r * SY_PANEL);
}

static inline void panel_clear(float *sums)
{
    for (uint i = 0; i < SY_MAX_GROUP_PANELS * PANEL_SUMS; i += 16)
        vstore16((float16)(0.0f), 0, sums + i);
}

// c[rows][cols] (+)= alpha · sums, cols ≤ 32, rows of c `stride` apart.
static inline void panel_store(const float *sums, uint rows, uint cols, __global O *c, uint stride, float alpha,
                        uint accumulate)
{
    for (uint r = 0; r < rows; ++r) {
        __global O *out = c + (size_t)r * stride;
        const float *from = sums + r * SY_PANEL;
        uint j = 0;
        for (; j + VEC <= cols; j += VEC) {
            const VF v = V_LOAD(0, from + j);
            O_STV(out, j, accumulate != 0 ? fma((VF)(alpha), v, O_LDV(out, j)) : alpha * v);
        }
        for (; j < cols; ++j)
            O_ST(out, j, accumulate != 0 ? fma(alpha, from[j], O_LD(out, j)) : alpha * from[j]);
    }
}
#endif
