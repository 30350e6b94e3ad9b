// SPDX-License-Identifier: Apache-2.0
// matmul_dw_pairs.cl.h: matmul_dw_amx and matmul_dw_dot: matmul_dw of bf16 factors in pairs, as amx.cl.h multiplies them.
#undef O_BF16 // w is f32 whatever the activations are
#include "amx.cl.h"
#include "away.cl.h"

TRANSPOSE16(transpose16, ushort, ushort16, STORE16_US)

// Copies y[depth][rows] (rows of y `stride` apart) so that k runs along its rows.
static inline void copy_columns(__global const T *restrict y, uint stride, uint rows, uint depth, ushort *restrict to)
{
    uint m = 0;
    for (; m + 16 <= rows; m += 16) {
        uint k = 0;
        for (; k + 16 <= depth; k += 16)
            transpose16(y + (size_t)k * stride + m, stride, to + m * AMX_LD + k, AMX_LD);
        for (; k < depth; ++k)
            for (uint j = 0; j < 16; ++j)
                to[(m + j) * AMX_LD + k] = y[(size_t)k * stride + m + j];
    }
    for (; m < rows; ++m)
        SCALARS for (uint k = 0; k < depth; ++k)
            to[m * AMX_LD + k] = y[(size_t)k * stride + m];
    amx_pad(to, rows, depth);
}

// Rows m0 … m0 + rows − 1 (at most AMX_ROWS) of one expert's w, columns of panels q0 … q1 − 1.
static inline void multiply(__global const T *restrict y, __global const T *restrict x, __global float *restrict w,
                            uint first, uint end, uint m0, uint rows, uint q0, uint q1, const struct sy_matmul_dw_args p)
{
    ushort copy[AMX_ROWS * AMX_LD];
    uint room[AMX_DEPTH / 2 * SY_PANEL];
    float sums[SY_MAX_GROUP_PANELS * (AMX_ROWS * SY_PANEL)];
    for (uint i = 0; i < (q1 - q0) * AMX_ROWS * SY_PANEL; i += 16)
        sy_put((float16)(0.0f), sums + i);
    for (uint k0 = first; k0 < end; k0 += AMX_DEPTH) {
        const uint depth = min(end - k0, AMX_DEPTH);
        copy_columns(y + (size_t)k0 * p.m + m0, p.m, rows, depth, copy);
        for (uint q = q0; q < q1; ++q) {
            amx_pair(x + (size_t)k0 * p.n + q * SY_PANEL, p.n, PANEL_COLS(p.n, q), depth, room);
            amx_products(copy, rows, room, AMX_STEPS(depth), sums + (q - q0) * (AMX_ROWS * SY_PANEL));
        }
    }
    const bool away = is_away(w, p.slices * p.experts, p.m, p.n, p.accumulate);
    for (uint q = q0; q < q1; ++q)
        panel_store_away(sums + (q - q0) * (AMX_ROWS * SY_PANEL), rows, PANEL_COLS(p.n, q), w + (size_t)m0 * p.n + q * SY_PANEL,
                         p.n, p.alpha, p.accumulate, away);
    away_end(away);
}

static inline void matmul_dw_pairs(__global const T *restrict y, __global const T *restrict x, __global const int *restrict off,
                                   __global float *restrict w, const struct sy_matmul_dw_args p)
{
    GROUP_GUARD(0); // a CPU's grid is never folded
    const struct panel_dw_part part = panel_dw_part(off, p);
    amx_begin();
    for (uint row = part.row0; row < part.end; row += AMX_ROWS)
        multiply(y, x, w + (size_t)part.plane * p.m * p.n, part.first, part.last, row, min(part.end - row, AMX_ROWS), part.q0,
                 part.q1, p);
    amx_end();
}
