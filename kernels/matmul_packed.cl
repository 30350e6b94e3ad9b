// SPDX-License-Identifier: Apache-2.0
// matmul_packed: the variant `packed` of matmul, c[m,n] = alpha · Σ_k a[m,k] · B_e[k,n] (+ c), for CPUs (WG is 1), with
// B in the panels that pack_b writes where it is stored [N][K], else as it is.
//   a      t [M, K]
//   b      t [E][ceil(N/32)][K][32] if bt else [E][K][N]
//   tiles  i [tiles, 4]  expert, first row, end row, 0 (read when experts > 1 or of > 0)
//   c      o [M, N]
// Launch: one work-group per (row tile, SY_GROUP_PANELS panels): register block of float16 (panel.cl.h).
// Determinism: each output is one chain of fma over ascending k, as in matmul.
#include "common.cl.h"
#include "tiles.h"

#define PANEL_LD 144u // room for PANEL_K, and no power of two: see panel.cl.h
#define PANEL_A_ROW PANEL_LD
#define PANEL_A_K 1u
#include "panel.cl.h"

#if !defined(T_BF16) && defined(__x86_64__) // one kind of memory there, so one function does for both places
#define panel_products_there(a, rows, b, depth, sums, next) \
    panel_products(a, rows, (const float *)(size_t)(b), depth, sums, next)
#else
PANEL_PRODUCTS(panel_products_there, __global T, panel_load)
#endif
#ifdef T_BF16
#define FEW(rows) ((rows) <= 2u * REST_ROWS) // so few that converting in place is cheaper than a copy
#else
#define FEW(rows) 1
#endif

// Copies a[rows][depth] (rows `stride` apart) and pads it with rows of zeros.
static inline void copy_rows(__global const T *restrict a, uint stride, uint rows, uint depth, float *restrict to)
{
    for (uint r = 0; r < rows; ++r) {
        __global const T *from = a + (size_t)r * stride, *ahead = a + (size_t)min(r + 4u, rows - 1u) * stride;
        uint k = 0;
        for (; k + VEC <= depth; k += VEC) {
            FETCH(ahead + k, 1u);
            V_STORE(T_LDV(from, k), 0, to + r * PANEL_LD + k);
        }
        SCALARS for (; k < depth; ++k)
            to[r * PANEL_LD + k] = T_LD(from, k);
    }
    SCALARS for (uint i = rows * PANEL_LD; i < PANEL_PADDED(rows) * PANEL_LD; ++i)
        to[i] = 0.0f;
}

// Rows row0 … row0 + rows − 1 (at most PANEL_ROWS) times panels q0 … q1 − 1 of one expert's B. Panels are read where they
// are, unless they would be converted again and again.
static inline void multiply(__global const T *restrict a, __global const T *restrict b, __global O *restrict c, uint row0,
                            uint rows, uint q0, uint q1, const struct sy_matmul_args p)
{
    float copy[PANEL_ROWS * PANEL_LD], room[PANEL_K * SY_PANEL], sums[SY_MAX_GROUP_PANELS * PANEL_SUMS];
    const uint there = p.bt != 0 && FEW(rows);
    const uint stride = p.bt != 0 ? SY_PANEL : p.n;
    const size_t next = p.bt != 0 ? (size_t)p.k * SY_PANEL : SY_PANEL; // from panel to panel
    panel_clear(sums, rows, q1 - q0);
    for (uint k0 = 0; k0 < p.k; k0 += PANEL_K) {
        const uint depth = min(p.k - k0, PANEL_K);
        __global const T *from = b + q0 * next + (size_t)k0 * stride;
        copy_rows(a + (size_t)row0 * p.k + k0, p.k, rows, depth, copy);
        for (uint q = q0; q < q1; ++q, from += next) {
            float *to = sums + (q - q0) * PANEL_SUMS;
            const struct panel_next then = panel_next(from, next, stride, q0, q, q1, k0 + depth < p.k ? depth : 0);
            if (there != 0) {
                panel_products_there(copy, rows, from, depth, to, then);
            } else {
                panel_take(from, stride, p.bt != 0 ? SY_PANEL : PANEL_COLS(p.n, q), depth, room);
                panel_products(copy, rows, room, depth, to, then);
            }
        }
    }
    for (uint q = q0; q < q1; ++q)
        panel_store(sums + (q - q0) * PANEL_SUMS, rows, PANEL_COLS(p.n, q),
                    c + (size_t)row0 * p.n + q * SY_PANEL, p.n, p.alpha, p.accumulate);
}

KERNEL void matmul_packed(__global const T *restrict a, __global const T *restrict b,
                          __global const int *restrict tiles, __global O *restrict c, const struct sy_matmul_args p)
{
    GROUP_GUARD(0); // a CPU's grid is never folded
    const struct panel_part part = panel_matmul_part(tiles, p);
    if (part.expert < 0)
        return; // no barriers follow
    const size_t cols = p.bt != 0 ? (p.n + SY_PANEL - 1) / SY_PANEL * SY_PANEL : p.n;
    __global const T *own = b + (size_t)part.expert * cols * p.k;
    for (uint row = part.row0; row < part.end; row += PANEL_ROWS)
        multiply(a, own, c, row, min(part.end - row, PANEL_ROWS), part.q0, part.q1, p);
}
