// SPDX-License-Identifier: Apache-2.0
// matmul_dw_blocks: the variant `blocks` of matmul_dw, w[s][e][m][n] (+)= alpha · Σ y[r,m] · x[r,n] over the
// rows r of expert e in slice s, for CPUs (WG is 1).
//   y    t [rows, M]
//   x    t [rows, N]
//   off  i [E·S + 1]  first row of each expert in each slice (read when ragged)
//   w    f [S, E, M, N]
// Launch: one work-group per (slice, expert, 96 rows of w, SY_GROUP_PANELS panels): register block of float16 (panel.cl.h).
// Determinism: each output is one chain of fma over ascending r, as in matmul_dw.
#undef O_BF16 // w is f32 whatever the activations are
#include "common.cl.h"
#include "tiles.h"

#include "panel.cl.h"
#include "away.cl.h"

#define PANEL_A_K BLOCK_ROWS
#define PANEL_A_AT(row, apart) ((row) / BLOCK_ROWS * BLOCK_ROWS * PANEL_K + (row) % BLOCK_ROWS)
PANEL_PRODUCTS(panel_products, float, BF_LOAD, 1u)

// The 6 or 12 rows of a block are two vectors that overlap.
#if BLOCK_VEC == 16
#define PART 8
#else
#define PART 4
#endif
#ifdef T_BF16
#define PART_LOAD(p) SY_CAT(as_float, PART)(SY_CAT(convert_uint, PART)(SY_CAT(vload, PART)(0, p)) << 16)
#else
#define PART_LOAD(p) SY_CAT(vload, PART)(0, p)
#endif

// Copies y[depth][rows], rows of y `stride` apart, in blocks: [rows / BLOCK_ROWS][depth][BLOCK_ROWS].
static inline void copy_columns(__global const T *restrict y, uint stride, uint rows, uint depth, float *restrict to)
{
    for (uint k = 0; k < depth; ++k, to += BLOCK_ROWS) {
        __global const T *from = y + (size_t)k * stride;
        uint m = 0;
        for (; m + BLOCK_ROWS <= rows; m += BLOCK_ROWS) {
            sy_put(PART_LOAD(from + m), to + m * PANEL_K);
            sy_put(PART_LOAD(from + m + BLOCK_ROWS - PART), to + m * PANEL_K + BLOCK_ROWS - PART);
        }
        SCALARS for (; m < rows; ++m)
            to[PANEL_A_AT(m, 1u)] = T_LD(from, m);
    }
}

// Rows m0 … m0 + rows − 1 (at most PANEL_ROWS) of one expert's w, columns of panels q0 … q1 − 1.
static inline void multiply(__global const T *restrict y, __global const T *restrict x, __global float *restrict w,
                     uint first, uint end, uint m0, uint rows, uint q0, uint q1, const struct sy_matmul_dw_args p)
{
    float copy[PANEL_ROWS * PANEL_K], room[PANEL_K * SY_PANEL], sums[SY_MAX_GROUP_PANELS * PANEL_SUMS];
    const bool away = is_away(w, p.slices * p.experts, p.m, p.n, p.accumulate);
    uint k0 = first;
    do {
        const uint depth = min(end - k0, PANEL_K);
        __global const T *from = x + (size_t)k0 * p.n + q0 * SY_PANEL;
        copy_columns(y + (size_t)k0 * p.m + m0, p.m, rows, depth, copy);
        for (uint q = q0; q < q1; ++q, from += SY_PANEL) {
            const uint cols = PANEL_COLS(p.n, q);
            __global float *to = w + (size_t)m0 * p.n + q * SY_PANEL;
            const struct panel_next next = {q + 1 < q1 ? from + SY_PANEL : from - (q - q0) * SY_PANEL + (size_t)depth * p.n,
                                            p.n};
            const struct panel_out out = {sums + (q - q0) * PANEL_SUMS, PANEL_DIRECT(k0 + depth == end && !away, cols, to),
                                          k0 == first, p.n, p.accumulate, p.alpha};
            panel_take(from, p.n, cols, depth, room);
            panel_products(copy, 1u, rows, room, depth, out, next);
            if (k0 + depth == end && out.c == 0)
                panel_store_away(out.sums, rows, cols, to, p.n, p.alpha, p.accumulate, away);
        }
        k0 += depth;
    } while (k0 < end);
    away_end(away);
}

KERNEL void matmul_dw_blocks(__global const T *restrict y, __global const T *restrict x,
                             __global const int *restrict off, __global float *restrict w,
                             const struct sy_matmul_dw_args p)
{
    GROUP_GUARD(0); // a CPU's grid is never folded
    const struct panel_dw_part part = panel_dw_part(off, p);
    multiply(y, x, w + (size_t)part.plane * p.m * p.n, part.first, part.last, part.row0, part.end - part.row0, part.q0,
             part.q1, p);
}
