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

#include "panel.cl.h"

#define PANEL_A_K 1u
#define PANEL_A_AT(row, apart) ((row) * (apart))
PANEL_PRODUCTS(panel_products, float, BF_LOAD, a_row)
#ifdef T_BF16
PANEL_PRODUCTS(panel_products_there, __global T, panel_load, a_row)
#define FEW(rows) ((rows) <= 2u * REST_ROWS) // so few that converting B in place is cheaper than a copy
#define COPIED(k, panels) 1
#else
// Rows a multiple of 4 KiB apart share a set of the first cache. It has 8 places, which 6 rows of a block do without.
#define COPIED(k, panels) ((k) % 1024u == 0 && BLOCK_ROWS > 8u && (panels) >= 8u)
#endif
// Values of k for which a tile's rows of A, or a copy of them, shall stay in the second cache for all panels.
#define DEEP (8u * PANEL_K)
#define COPY_DEEP (2u * PANEL_K)
#define COPY_LD (COPY_DEEP + 16u) // no power of two

// Copies a[rows][depth] (rows `stride` apart) as f32.
static inline void copy_rows(__global const T *restrict a, uint stride, uint rows, uint depth, float *restrict to)
{
    for (uint r = 0; r < rows; ++r) {
        __global const T *from = a + (size_t)r * stride, *ahead = a + (size_t)min(r + 4u, rows - 1u) * stride;
        uint k = 0;
        for (; k + VEC <= depth; k += VEC) {
            FETCH(ahead + k, 1u);
            V_STORE(T_LDV(from, k), 0, to + r * COPY_LD + k);
        }
        SCALARS for (; k < depth; ++k)
            to[r * COPY_LD + k] = T_LD(from, k);
    }
}

// sums (+)= rows of A (`apart`) · a slab of a panel of B, where it is unless it must be copied.
static inline void multiply_slab(const float *a, size_t apart, uint rows, __global const T *restrict b, uint bt, uint stride,
                                 uint cols, uint depth, float *room, struct panel_out out, struct panel_next next)
{
    const float *from = room;
#ifdef T_BF16
    if (bt != 0 && FEW(rows)) {
        panel_products_there(a, apart, rows, b, depth, out, next);
        return;
    }
    panel_take(b, stride, bt != 0 ? SY_PANEL : cols, depth, room);
#else
    if (bt != 0)
        from = (const float *)(size_t)b;
    else
        panel_take(b, stride, cols, depth, room);
#endif
    panel_products(a, apart, rows, from, depth, out, next);
}

// Rows row0 … row0 + rows − 1 (at most PANEL_ROWS) times panels q0 … q1 − 1 of one expert's B.
static inline void multiply(__global const T *restrict a, __global const T *restrict b, __global O *restrict c, uint row0,
                            uint rows, uint q0, uint q1, const struct sy_matmul_args p)
{
    const uint copied = COPIED(p.k, q1 - q0);
    float copy[PANEL_ROWS * COPY_LD], room[PANEL_K * SY_PANEL], sums[SY_MAX_GROUP_PANELS * PANEL_SUMS];
    const uint stride = p.bt != 0 ? SY_PANEL : p.n;
    const size_t apart = p.bt != 0 ? (size_t)p.k * SY_PANEL : SY_PANEL; // from panel to panel
    uint k0 = 0;
    do {
        const uint deep = min(p.k, k0 + (copied != 0 ? COPY_DEEP : DEEP));
        __global const T *from = a + (size_t)row0 * p.k + k0;
        if (copied != 0)
            copy_rows(from, p.k, rows, deep - k0, copy);
        const float *at = copied != 0 ? copy : (const float *)(size_t)from;
        for (uint q = q0; q < q1; ++q) {
            const uint cols = PANEL_COLS(p.n, q);
            __global O *to = c + (size_t)row0 * p.n + q * SY_PANEL;
            struct panel_out out = {sums + (q - q0) * PANEL_SUMS, 0, k0 == 0, p.n, p.accumulate, p.alpha};
            uint k = k0;
            do {
                __global const T *slab = b + q * apart + (size_t)k * stride;
                const uint depth = min(deep - k, PANEL_K);
                const struct panel_next next = {
                    k + depth < deep ? slab + (size_t)depth * stride
                    : q + 1 < q1     ? b + (q + 1) * apart + (size_t)k0 * stride
                                     : b + q0 * apart + (size_t)(deep < p.k ? deep : 0) * stride,
                    stride};
                out.c = PANEL_DIRECT(k + depth == p.k, cols, to);
                multiply_slab(at + k - k0, copied != 0 ? COPY_LD : p.k, rows, slab, p.bt, stride, cols, depth, room, out,
                              next);
                out.first = 0;
                k += depth;
            } while (k < deep);
            if (deep == p.k && out.c == 0)
                panel_store(out.sums, rows, cols, to, p.n, p.alpha, p.accumulate);
        }
        k0 = deep;
    } while (k0 < p.k);
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
