// SPDX-License-Identifier: Apache-2.0
// matmul_dw_blocks: the variant `blocks` of matmul_dw, w[s][e][m][n] (+)= alpha · Σ y[r,m] · x[r,n] over the
// rows r of expert e in slice s, for CPUs (WG is 1).
//   y    t [rows, M]
//   x    t [rows, N]
//   off  i [E·S + 1]  first row of each expert in each slice (read when ragged)
//   w    f [S, E, M, N]
// Launch: one work-group per (slice, expert, 48 rows of w, SY_GROUP_PANELS panels): register block of float16 (panel.cl.h).
// Determinism: each output is one chain of fma over ascending r, as in matmul_dw.
#undef O_BF16 // w is f32 whatever the activations are
#include "common.cl.h"
#include "tiles.h"

#define PANEL_A_ROW 1u
#define PANEL_A_K PANEL_ROWS
#include "panel.cl.h"
#include "away.cl.h"

// Copies y[depth][rows] (rows of y `stride` apart) and pads each with zeros.
static inline void copy_columns(__global const T *restrict y, uint stride, uint rows, uint depth, float *restrict to)
{
    for (uint k = 0; k < depth; ++k) {
        __global const T *from = y + (size_t)k * stride;
        uint m = 0;
        for (; m + VEC <= rows; m += VEC)
            V_STORE(T_LDV(from, m), 0, to + k * PANEL_ROWS + m);
        SCALARS for (; m < rows; ++m)
            to[k * PANEL_ROWS + m] = T_LD(from, m);
        SCALARS for (; m < PANEL_PADDED(rows); ++m)
            to[k * PANEL_ROWS + m] = 0.0f;
    }
}

// Rows m0 … m0 + rows − 1 (at most PANEL_ROWS) of one expert's w, columns of panels q0 … q1 − 1.
static inline void multiply(__global const T *restrict y, __global const T *restrict x, __global float *restrict w,
                     uint first, uint end, uint m0, uint rows, uint q0, uint q1, const struct sy_matmul_dw_args p)
{
    float copy[PANEL_ROWS * PANEL_K], room[PANEL_K * SY_PANEL], sums[SY_MAX_GROUP_PANELS * PANEL_SUMS];
    panel_clear(sums, rows, q1 - q0);
    for (uint k0 = first; k0 < end; k0 += PANEL_K) {
        const uint depth = min(end - k0, PANEL_K);
        __global const T *from = x + (size_t)k0 * p.n + q0 * SY_PANEL;
        copy_columns(y + (size_t)k0 * p.m + m0, p.m, rows, depth, copy);
        for (uint q = q0; q < q1; ++q, from += SY_PANEL) {
            const struct panel_next then = panel_next(from, SY_PANEL, p.n, q0, q, q1, k0 + depth < end ? depth : 0);
            panel_take(from, p.n, PANEL_COLS(p.n, q), depth, room);
            panel_products(copy, rows, room, depth, sums + (q - q0) * PANEL_SUMS, then);
        }
    }
    const bool away = is_away(w, p.slices * p.experts, p.m, p.n, p.accumulate);
    for (uint q = q0; q < q1; ++q)
        panel_store_away(sums + (q - q0) * PANEL_SUMS, rows, PANEL_COLS(p.n, q), w + (size_t)m0 * p.n + q * SY_PANEL,
                         p.n, p.alpha, p.accumulate, away);
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
