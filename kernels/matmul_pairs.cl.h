// SPDX-License-Identifier: Apache-2.0
// matmul_pairs.cl.h: matmul_amx and matmul_dot: matmul of bf16 factors in pairs, as amx.cl.h multiplies them.
// With ROWS_OF_B (matmul_dot_few) B is as it is stored, [N][K], and a panel's pairs are made here.
#include "amx.cl.h"
#ifdef ROWS_OF_B
TRANSPOSE_WORDS(transpose_words)

// Columns 32 · q … of the transpose of b, `cols` of them real, as pack_b would pair them; zeros up to whole tiles.
static inline void pair_rows(__global const T *restrict b, uint stride, uint cols, uint depth, uint *restrict to)
{
    uint k = 0;
    if (cols == SY_PANEL && stride % 2 == 0)
        for (; k + 32 <= depth; k += 32) { // a pair is one word of a row
            __global const float *from = (__global const float *)(b + k);
            float *words = (float *)(to + k / 2 * SY_PANEL);
            for (uint j = 0; j < SY_PANEL; ++j)
                FETCH(from + (size_t)j * (stride / 2) + 32, 1u);
            transpose_words(from, stride / 2, words, SY_PANEL);
            transpose_words(from + (size_t)16 * (stride / 2), stride / 2, words + 16, SY_PANEL);
        }
    for (; k < 32 * AMX_STEPS(depth); k += 2)
        for (uint j = 0; j < SY_PANEL; ++j) {
            __global const T *const at = b + (size_t)j * stride + k;
            to[k / 2 * SY_PANEL + j] =
                (j < cols && k < depth ? at[0] : 0u) | (j < cols && k + 1 < depth ? (uint)at[1] << 16 : 0u);
        }
}
#endif

static inline void copy_rows(__global const T *restrict a, uint stride, uint rows, uint depth, ushort *restrict to)
{
    for (uint r = 0; r < rows; ++r) {
        __global const T *from = a + (size_t)r * stride;
        uint k = 0;
        for (; k + 16 <= depth; k += 16)
            vstore8(as_uint8(vload16(0, from + k)), 0, (uint *)(to + r * AMX_LD + k));
        SCALARS for (; k < depth; ++k)
            to[r * AMX_LD + k] = from[k];
    }
    amx_pad(to, rows, depth);
}

// One slab of one panel that pack_b made: whole tiles where they lie, the last ones in part from a copy with zeros.
static inline void multiply_panel(const ushort *copy, uint rows, __global const T *restrict b, uint depth, uint *room,
                                  float *sums)
{
    const uint whole = depth / 32;
    amx_products(copy, rows, (const uint *)(size_t)b, whole, sums);
    if (depth % 32 != 0) {
        __global const uint *const pairs = (__global const uint *)b + 16 * SY_PANEL * whole;
        SCALARS for (uint i = 0; i < 16 * SY_PANEL; ++i)
            room[i] = i < (depth % 32 + 1) / 2 * SY_PANEL ? pairs[i] : 0;
        amx_products(copy + 32 * whole, rows, room, 1, sums);
    }
}

static inline void multiply(__global const T *restrict a, __global const T *restrict b, __global O *restrict c, uint row0,
                            uint rows, uint q0, uint q1, const struct sy_matmul_args p)
{
    ushort copy[AMX_ROWS * AMX_LD];
    uint room[AMX_DEPTH / 2 * SY_PANEL];
    float sums[SY_MAX_GROUP_PANELS * (AMX_ROWS * SY_PANEL)];
    const uint even = (p.k + 1) / 2 * 2;
    for (uint i = 0; i < (q1 - q0) * AMX_ROWS * SY_PANEL; i += 16)
        sy_put((float16)(0.0f), sums + i);
    for (uint k0 = 0; k0 < p.k; k0 += AMX_DEPTH) {
        const uint depth = min(p.k - k0, AMX_DEPTH);
        copy_rows(a + (size_t)row0 * p.k + k0, p.k, rows, depth, copy);
        for (uint q = q0; q < q1; ++q) {
            float *to = sums + (q - q0) * (AMX_ROWS * SY_PANEL);
#ifdef ROWS_OF_B
            pair_rows(b + (size_t)q * SY_PANEL * p.k + k0, p.k, PANEL_COLS(p.n, q), depth, room);
            amx_products(copy, rows, room, AMX_STEPS(depth), to);
#else
            if (p.bt != 0) {
                multiply_panel(copy, rows, b + ((size_t)q * even + k0) * SY_PANEL, depth, room, to);
            } else {
                amx_pair(b + (size_t)k0 * p.n + q * SY_PANEL, p.n, PANEL_COLS(p.n, q), depth, room);
                amx_products(copy, rows, room, AMX_STEPS(depth), to);
            }
#endif
        }
    }
    for (uint q = q0; q < q1; ++q)
        panel_store(sums + (q - q0) * (AMX_ROWS * SY_PANEL), rows, PANEL_COLS(p.n, q),
                    c + (size_t)row0 * p.n + q * SY_PANEL, p.n, p.alpha, p.accumulate);
}

static inline void matmul_pairs(__global const T *restrict a, __global const T *restrict b, __global const int *restrict tiles,
                                __global O *restrict c, const struct sy_matmul_args p)
{
    GROUP_GUARD(0); // a CPU's grid is never folded
    const struct panel_part part = panel_matmul_part(tiles, p);
    if (part.expert < 0)
        return; // no barriers follow
#ifdef ROWS_OF_B
    const size_t each = (size_t)p.n * p.k;
#else
    const size_t each = p.bt != 0 ? (size_t)((p.n + SY_PANEL - 1) / SY_PANEL * SY_PANEL) * ((p.k + 1) / 2 * 2) : (size_t)p.n * p.k;
#endif
    __global const T *own = b + part.expert * each;
    amx_begin();
    for (uint row = part.row0; row < part.end; row += AMX_ROWS)
        multiply(a, own, c, row, min(part.end - row, AMX_ROWS), part.q0, part.q1, p);
    amx_end();
}
