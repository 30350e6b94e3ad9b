// SPDX-License-Identifier: Apache-2.0
// panel.cl.h: the register block of matmul_packed and matmul_dw_blocks for a work-group of one item.
//
// A tile's rows of A are multiplied panel by panel, and a panel PANEL_K deep at a time. A's rows are read where they are
// if they are f32 and k runs along them, else from a copy. A panel of B as it is stored is copied, as its rows may lie a
// power of two apart and would share cache sets. Between slabs of k the partial sums of one panel wait in private memory,
// so that every output stays one chain of fma over ascending k; the first slab starts with zeros in registers, and the last
// one writes c from them. While one panel is multiplied, the next one is fetched, a piece with every few steps: at the
// rate at which caches miss, waiting for it took a quarter of the time.
//
// Who wants the products defines PANEL_A_AT(row, apart), where a block's first row begins, and PANEL_A_K, from k to k + 1.
#ifndef SY_PANEL_CL_H
#define SY_PANEL_CL_H
#include "common.cl.h"
#include "tiles.h"

#define PANEL_K 128u // 32 columns of it leave room in the first cache for what else passes through
#define PANEL_ROWS SY_TILE_ROWS_CPU
#define PANEL_SUMS (PANEL_ROWS * SY_PANEL) // partial sums of one panel
#define PANEL_COLS(n, q) min((n) - (q)*SY_PANEL, (uint)SY_PANEL) // real columns of panel q of n

// The register block: two vectors of sums for each row, two of B and a broadcast must fit the registers. What is left
// of the rows is done in blocks of REST_ROWS, which divides BLOCK_ROWS.
#if defined(__AVX512F__) && !defined(NO_AVX512) // 32 registers of 16 floats
#define BLOCK_ROWS 12u
#define REST_ROWS 4u
#define BLOCK_VEC 16
#else // 16 registers of 8 floats, or 32 of 4
#define BLOCK_ROWS 6u
#define REST_ROWS 3u
#define BLOCK_VEC 8
#endif
#define BF SY_CAT(float, BLOCK_VEC)
#define BF_LOAD(p) SY_CAT(vload, BLOCK_VEC)(0, p)

static inline BF panel_load(__global const T *p)
{
#ifdef T_BF16
    return SY_CAT(as_float, BLOCK_VEC)(SY_CAT(convert_uint, BLOCK_VEC)(BF_LOAD(p)) << 16);
#else
    return BF_LOAD(p);
#endif
}

#define ONCE __attribute__((noinline)) static // compiled once, not once for each place: worth a call

// What a block fetches of the next slab: with every PANEL_STEPS of k, FETCH_ROWS rows (as many vectors of each), so that
// the blocks of half a tile fetch it all.
#define PANEL_STEPS 8u
#define FETCH_ROWS ((uint)BLOCK_VEC / 8u)
#define FETCH_PART (PANEL_K / PANEL_STEPS * FETCH_ROWS) // rows that one block fetches
struct panel_next {
    __global const T *b;
    uint stride;
};

// Where its row `row` is; a kernel whose panels lie otherwise says so itself.
#ifndef PANEL_NEXT
#define PANEL_NEXT(next, row) ((next).b + (size_t)(row) * (next).stride)
#endif

static inline void panel_fetch(struct panel_next next, uint row)
{
    _Pragma("unroll") for (uint i = 0; row < PANEL_K && i < FETCH_ROWS * FETCH_ROWS; ++i)
        FETCH(PANEL_NEXT(next, row + i / FETCH_ROWS) + i % FETCH_ROWS * 16u, 1u);
}

// Where the sums of one panel come from and go to. The first slab's are zeros. The last one's go to c, rows of it `stride`
// apart, if c is there: if not, they go where those of the others do.
struct panel_out {
    float *sums; // [rows][32]
    __global float *c;
    uint first, stride, accumulate;
    float alpha;
};

// The place of c that a block may write itself: whole panels of f32.
#ifdef O_BF16
#define PANEL_DIRECT(last, cols, c) 0
#else
#define PANEL_DIRECT(last, cols, c) ((last) && (cols) == SY_PANEL ? (c) : 0)
#endif

// One step of a block: sums[rows][columns of the block] += a(row, k) · b[columns].
#define PANEL_STEP(rows, load)                               \
    {                                                        \
        const BF b_lo = load(b), b_hi = load(b + BLOCK_VEC); \
        b += SY_PANEL;                                       \
        _Pragma("unroll") for (uint r = 0; r < rows; ++r)    \
        {                                                    \
            const BF v = (BF)(*at[r]);                       \
            lo[r] = fma(v, b_lo, lo[r]);                     \
            hi[r] = fma(v, b_hi, hi[r]);                     \
            at[r] += PANEL_A_K;                              \
        }                                                    \
    }

static inline void panel_put(BF sum, struct panel_out to, __global float *c)
{
    sy_put(to.accumulate != 0 ? fma((BF)(to.alpha), sum, BF_LOAD(c)) : to.alpha * sum, c);
}

// sums[rows][columns of the block] += Σ_k a(row, k) · b[k][columns], for b in panels, `left` of the rows real: the others
// repeat the last one. Rows of a are `apart`. The row loops unroll and the arrays become registers.
#define PANEL_BLOCK(name, rows, B, load, apart)                                                       \
    ONCE void name(const float *restrict a, size_t a_row, uint left, const B *restrict b, uint depth, \
                     struct panel_out to, struct panel_next next, uint fetch)                         \
    {                                                                                                 \
        const float *at[rows];                                                                        \
        BF lo[rows], hi[rows];                                                                        \
        _Pragma("unroll") for (uint r = 0; r < rows; ++r)                                             \
        {                                                                                             \
            at[r] = a + (size_t)((rows) < BLOCK_ROWS ? min(r, left - 1u) : r) * (apart);              \
            lo[r] = hi[r] = (BF)(0.0f);                                                               \
            if (to.first == 0) {                                                                      \
                lo[r] = BF_LOAD(to.sums + r * SY_PANEL);                                              \
                hi[r] = BF_LOAD(to.sums + r * SY_PANEL + BLOCK_VEC);                                  \
            }                                                                                         \
        }                                                                                             \
        uint k = 0;                                                                                   \
        for (; k + PANEL_STEPS <= depth; k += PANEL_STEPS, fetch += FETCH_ROWS) {                     \
            panel_fetch(next, fetch);                                                                 \
            _Pragma("unroll") for (uint i = 0; i < PANEL_STEPS; ++i) PANEL_STEP(rows, load)           \
        }                                                                                             \
        for (; k < depth; ++k)                                                                        \
            PANEL_STEP(rows, load)                                                                    \
        _Pragma("unroll") for (uint r = 0; r < rows; ++r)                                             \
        {                                                                                             \
            if (to.c == 0) {                                                                          \
                sy_put(lo[r], to.sums + r * SY_PANEL);                                                \
                sy_put(hi[r], to.sums + r * SY_PANEL + BLOCK_VEC);                                    \
            } else if ((rows) == BLOCK_ROWS || r < left) {                                            \
                panel_put(lo[r], to, to.c + (size_t)r * to.stride);                                   \
                panel_put(hi[r], to, to.c + (size_t)r * to.stride + BLOCK_VEC);                       \
            }                                                                                         \
        }                                                                                             \
    }

static inline struct panel_out panel_out_at(struct panel_out to, uint row, uint col)
{
    to.sums += row * SY_PANEL + col;
    to.c += to.c != 0 ? (size_t)row * to.stride + col : 0;
    return to;
}

// name: sums[rows][32] += Σ_k a(row, k) · b[k][32]. One row, as decoding one prompt has it everywhere, goes alone. B: the
// elements and place of b; `apart` may be `a_row`, the argument.
#define PANEL_PRODUCTS(name, B, load, apart)                                                                               \
    PANEL_BLOCK(SY_CAT(name, _block), BLOCK_ROWS, B, load, apart)                                                          \
    PANEL_BLOCK(SY_CAT(name, _rest), REST_ROWS, B, load, apart)                                                            \
    PANEL_BLOCK(SY_CAT(name, _one), 1u, B, load, apart)                                                                    \
    static inline void name(const float *restrict a, size_t a_row, uint rows, const B *restrict b, uint depth,             \
                            struct panel_out to, struct panel_next next)                                                   \
    {                                                                                                                      \
        for (uint k = (rows + REST_ROWS) / BLOCK_ROWS * FETCH_PART; k < depth; ++k) /* what few blocks leave */            \
            FETCH(PANEL_NEXT(next, k), 4u * SY_PANEL);                                                                     \
        for (uint j = 0; j < SY_PANEL; j += 2u * BLOCK_VEC, next.b += 16) {                                                \
            uint r = 0, fetch = 0;                                                                                         \
            if (rows == 1u)                                                                                                \
                SY_CAT(name, _one)(a, a_row, 1u, b + j, depth, panel_out_at(to, 0, j), next, fetch);                       \
            for (; r + BLOCK_ROWS <= rows; r += BLOCK_ROWS, fetch += FETCH_PART)                                           \
                SY_CAT(name, _block)(a + PANEL_A_AT(r, apart), a_row, BLOCK_ROWS, b + j, depth, panel_out_at(to, r, j),    \
                                     next, fetch);                                                                         \
            for (; rows != 1u && r < rows; r += REST_ROWS, fetch += FETCH_PART)                                            \
                SY_CAT(name, _rest)(a + PANEL_A_AT(r, apart), a_row, rows - r, b + j, depth, panel_out_at(to, r, j), next, \
                                    fetch);                                                                                \
        }                                                                                                                  \
    }

// Copies 32 columns of b[depth][stride] as f32, `cols` of them real and zeros beyond.
static inline void panel_take(__global const T *restrict b, uint stride, uint cols, uint depth, float *restrict to)
{
    for (uint k = 0; k < depth; ++k, b += stride, to += SY_PANEL) {
        if (cols == SY_PANEL)
            for (uint j = 0; j < SY_PANEL; j += BLOCK_VEC)
                sy_put(panel_load(b + j), to + j);
        else
            SCALARS for (uint j = 0; j < SY_PANEL; ++j)
                to[j] = j < cols ? T_LD(b, j) : 0.0f;
    }
}

// What a work-group of matmul does: rows row0 … end − 1 and panels q0 … q1 − 1 of an expert's product (−1: of none).
struct panel_part {
    int expert;
    uint row0, end, q0, q1;
};

static inline struct panel_part panel_matmul_part(__global const int *restrict tiles, const struct sy_matmul_args p)
{
    const uint ragged = p.experts > 1 || p.of != 0, count = (p.n + SY_PANEL - 1) / SY_PANEL;
    const uint total = ragged != 0 ? p.tiles : (p.m + p.tile_rows - 1) / p.tile_rows;
    const uint each = SY_GROUP_PANELS(total, count);
    const uint across = (count + each - 1) / each, tile = GROUP_ID / across, q0 = GROUP_ID % across * each;
    const uint row0 = tile * p.tile_rows;
    struct panel_part part = {0, row0, min(row0 + p.tile_rows, p.m), q0, min(q0 + each, count)};
    if (ragged != 0) {
        part.expert = tiles[4 * tile] - (int)p.first; // of other parts: below 0, or too large
        part.expert = part.expert < (int)p.experts ? part.expert : -1;
        part.row0 = (uint)tiles[4 * tile + 1];
        part.end = (uint)tiles[4 * tile + 2];
    }
    return part;
}

// The same of matmul_dw: rows row0 … end − 1 of w (at most PANEL_ROWS) of plane slice · experts + expert, sums over rows
// first … last − 1 of the activations.
struct panel_dw_part {
    uint plane, row0, end, q0, q1, first, last;
};

static inline struct panel_dw_part panel_dw_part(__global const int *restrict off, const struct sy_matmul_dw_args p)
{
    const uint count = (p.n + SY_PANEL - 1) / SY_PANEL, down = (p.m + PANEL_ROWS - 1) / PANEL_ROWS;
    const uint each = SY_GROUP_PANELS(p.slices * p.experts * down, count), across = (count + each - 1) / each;
    const uint row0 = GROUP_ID % down * PANEL_ROWS, q0 = GROUP_ID / down % across * each; // neighbours share panels
    const uint plane = GROUP_ID / down / across, slice = plane / p.experts, length = p.rows / p.slices;
    const uint place = (p.first + plane % p.experts) * p.slices + slice;
    struct panel_dw_part part = {plane, row0, min(row0 + PANEL_ROWS, p.m), q0, min(q0 + each, count), slice * length, 0};
    if (p.ragged != 0)
        part.first = (uint)off[place];
    part.last = p.ragged != 0 ? (uint)off[place + 1] : part.first + length;
    return part;
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
        SCALARS for (; j < cols; ++j)
            O_ST(out, j, accumulate != 0 ? fma(alpha, from[j], O_LD(out, j)) : alpha * from[j]);
    }
}
#endif
