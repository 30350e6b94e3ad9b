// SPDX-License-Identifier: Apache-2.0
// matmul_few: the variant `few` of matmul, c[m,n] = alpha · Σ_k a[m,k] · B_e[n,k] (+ c) for CPUs (WG is 1), with B as it is
// stored, [N][K]: a panel of it is transposed in registers, into private memory, by each row tile that multiplies it.
//   a      t [M, K]
//   b      t [E][N][K]
//   tiles  i [tiles, 4]  expert, first row, end row, 0 (read when experts > 1 or of > 0)
//   c      o [M, N]
// Launch: one work-group per (row tile, SY_GROUP_PANELS panels): register block of panel.cl.h.
// Determinism: each output is one chain of fma over ascending k, as in matmul.
#include "common.cl.h"
#include "tiles.h"

#define PANEL_LD 144u // room for PANEL_K, and no power of two: see panel.cl.h
// Of the next panel, 32 rows of B, PANEL_K values each: a quarter of a row for each value of k.
#define PANEL_NEXT(next, k) ((next).b + (size_t)((k) / 4u) * (next).stride + (k) % 4u * (PANEL_K / 4u))
#include "panel.cl.h"

#define PANEL_A_K 1u
#define PANEL_A_AT(row, apart) ((row) * (apart))
PANEL_PRODUCTS(panel_products, float, BF_LOAD, PANEL_LD)

#define SPACE __private
#include "transpose.cl.h"
TRANSPOSE_WORDS(transpose_words)

// Copies a[rows][depth], rows `stride` apart.
static inline void copy_rows(__global const T *restrict a, uint stride, uint rows, uint depth, float *restrict to)
{
    for (uint r = 0; r < rows; ++r, a += stride) {
        uint k = 0;
        for (; k + VEC <= depth; k += VEC)
            V_STORE(T_LDV(a, k), 0, to + r * PANEL_LD + k);
        for (; k < depth; ++k)
            to[r * PANEL_LD + k] = T_LD(a, k);
    }
}

// to[k][j] = b[j][k] for k < depth and j < cols, and zeros for other columns of the panel.
static inline void take_transposed(__global const T *restrict b, uint stride, uint cols, uint depth, float *restrict to)
{
    uint k = 0;
#ifdef T_BF16
    // Two values of a row are one word; a row of words is then two of the panel.
    if (cols == SY_PANEL && stride % 2 == 0)
        for (; k + 32 <= depth; k += 32) {
            __global const float *from = (__global const float *)(b + k);
            float words[16 * SY_PANEL];
            transpose_words(from, stride / 2, words, SY_PANEL);
            transpose_words(from + (size_t)16 * (stride / 2), stride / 2, words + 16, SY_PANEL);
            for (uint i = 0; i < 16 * SY_PANEL; i += BLOCK_VEC) {
                const SY_CAT(uint, BLOCK_VEC) both = SY_CAT(as_uint, BLOCK_VEC)(BF_LOAD(words + i));
                float *even = to + (k + i / SY_PANEL * 2) * SY_PANEL + i % SY_PANEL;
                sy_put(SY_CAT(as_float, BLOCK_VEC)(both << 16), even);
                sy_put(SY_CAT(as_float, BLOCK_VEC)(both & 0xffff0000u), even + SY_PANEL);
            }
        }
#else
    if (cols == SY_PANEL)
        for (; k + 16 <= depth; k += 16) {
            transpose_words(b + k, stride, to + k * SY_PANEL, SY_PANEL);
            transpose_words(b + (size_t)16 * stride + k, stride, to + k * SY_PANEL + 16, SY_PANEL);
        }
#endif
    for (; k < depth; ++k)
        for (uint j = 0; j < SY_PANEL; ++j)
            to[k * SY_PANEL + j] = j < cols ? T_LD(b, (size_t)j * stride + k) : 0.0f;
}

// Rows row0 … row0 + rows − 1 (at most PANEL_ROWS) times panels q0 … q1 − 1 of one expert's B.
static inline void multiply(__global const T *restrict a, __global const T *restrict b, __global O *restrict c, uint row0,
                            uint rows, uint q0, uint q1, const struct sy_matmul_args p)
{
    float copy[PANEL_ROWS * PANEL_LD], room[PANEL_K * SY_PANEL], sums[SY_MAX_GROUP_PANELS * PANEL_SUMS];
    const size_t apart = (size_t)SY_PANEL * p.k; // from panel to panel
    uint k0 = 0;
    do {
        const uint depth = min(p.k - k0, PANEL_K), last = k0 + depth == p.k;
        __global const T *from = b + q0 * apart + k0;
        copy_rows(a + (size_t)row0 * p.k + k0, p.k, rows, depth, copy);
        for (uint q = q0; q < q1; ++q, from += apart) {
            const uint cols = PANEL_COLS(p.n, q);
            __global O *to = c + (size_t)row0 * p.n + q * SY_PANEL;
            const struct panel_next next = {q + 1 < q1 ? from + apart : from - (q - q0) * apart + depth, p.k};
            const struct panel_out out = {sums + (q - q0) * PANEL_SUMS, PANEL_DIRECT(last, cols, to), k0 == 0, p.n,
                                          p.accumulate, p.alpha};
            take_transposed(from, p.k, cols, depth, room);
            panel_products(copy, PANEL_LD, rows, room, depth, out, next);
            if (last && out.c == 0)
                panel_store(out.sums, rows, cols, to, p.n, p.alpha, p.accumulate);
        }
        k0 += depth;
    } while (k0 < p.k);
}

KERNEL void matmul_few(__global const T *restrict a, __global const T *restrict b, __global const int *restrict tiles,
                       __global O *restrict c, const struct sy_matmul_args p)
{
    GROUP_GUARD(0); // a CPU's grid is never folded
    const struct panel_part part = panel_matmul_part(tiles, p);
    if (part.expert < 0)
        return; // no barriers follow
    __global const T *own = b + (size_t)part.expert * p.n * p.k;
    for (uint row = part.row0; row < part.end; row += PANEL_ROWS)
        multiply(a, own, c, row, min(part.end - row, PANEL_ROWS), part.q0, part.q1, p);
}
