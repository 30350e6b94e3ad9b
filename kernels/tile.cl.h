// SPDX-License-Identifier: Apache-2.0
// tile.cl.h: the local-memory tile of matmul and matmul_dw.
//
// A work-group computes TILE_ROWS × TILE_COLS outputs, SLAB values of k at a time: it copies the slab of A and of B
// to local memory as f32, k by k, then every item multiplies 8 rows with 8 columns in registers. An item owns two quads
// of rows and two of columns, half a tile apart, so that neighbouring items read neighbouring quads: no bank conflicts.
// The sums are scalars at constant places, spelled out: what a loop indexes goes to memory where the compiler leaves
// the loop alone (Intel's, Mesa's, and clang's for NVIDIA and AMD do, now one, now another), and Intel's keeps vectors
// twice.
#ifndef SY_TILE_CL_H
#define SY_TILE_CL_H
#include "common.cl.h"
#include "tiles.h"

#define ITEMS_X SY_ITEMS_X(WG)
#define ITEMS_Y SY_ITEMS_Y(WG)
#define TILE_ROWS (SY_ITEM * ITEMS_Y)
#define TILE_COLS (SY_ITEM * ITEMS_X)
#define SLAB (WG > 64 ? 8u : 16u) // keeps both slabs below 16 KiB for every WG
#define A_LD (TILE_ROWS + 4)      // the padding spreads transposed writes over the banks
#define B_LD (TILE_COLS + 4)
#define A_SLAB (SLAB * A_LD)
#define B_SLAB (SLAB * B_LD)

// p[0 … 3], of which only the first `count` exist; zeros for the others.
static inline float4 load_quad(__global const T *p, uint count)
{
    float4 v = (float4)(0.0f);
    if (count >= 4)
        v = (float4)(T_LD(p, 0), T_LD(p, 1), T_LD(p, 2), T_LD(p, 3));
    else if (count > 0) {
        v.x = T_LD(p, 0);
        if (count > 1)
            v.y = T_LD(p, 1);
        if (count > 2)
            v.z = T_LD(p, 2);
    }
    return v;
}

static inline uint left_of(uint limit, uint at) { return limit > at ? limit - at : 0; }

// slab[k][line] of a matrix stored [line][k] if by_line, else [k][line], its rows `stride` apart; x is line 0, k 0 of
// this tile and slab. Not unrolled: the addresses of several rounds at once are more than registers hold beside the
// sums.
static inline void load_slab(__local float4 *quads, uint ld, uint lines, __global const T *restrict x, uint stride,
                             bool by_line, uint lines_left, uint k_left, uint lid)
{
    __local float *slab = (__local float *)quads;
#pragma unroll 1
    for (uint i = lid; i < lines * (SLAB / 4); i += WG) {
        if (by_line) {
            const uint line = i / (SLAB / 4), k = i % (SLAB / 4) * 4;
            const float4 v = load_quad(x + (size_t)line * stride + k, line < lines_left ? left_of(k_left, k) : 0);
            slab[k * ld + line] = v.x;
            slab[(k + 1) * ld + line] = v.y;
            slab[(k + 2) * ld + line] = v.z;
            slab[(k + 3) * ld + line] = v.w;
        } else {
            const uint line = i % (lines / 4) * 4, k = i / (lines / 4);
            const float4 v = load_quad(x + (size_t)k * stride + line, k < k_left ? left_of(lines_left, line) : 0);
            vstore4(v, 0, slab + k * ld + line);
        }
    }
}

// Forced: a call would take the sums through memory.
#define ITEM_INLINE __attribute__((always_inline)) static inline
#if SY_ITEM != 8u
#error "EACH_ROW and MULTIPLY_ROW name 8 rows and 8 columns"
#endif
#define SUM(r, j) sum[SY_ITEM * (r) + (j)]
#define EACH_ROW(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7)

// Values of k that an item multiplies in one round of its loop. Fewer spend more of the loop on addresses and jumps; more
// ask Intel's compiler for registers that it does not have.
#ifdef cl_intel_subgroups
#define STEPS 2u
#define MULTIPLY_STEPS MULTIPLY_STEP(0) MULTIPLY_STEP(1)
#else
#define STEPS 4u
#define MULTIPLY_STEPS MULTIPLY_STEP(0) MULTIPLY_STEP(1) MULTIPLY_STEP(2) MULTIPLY_STEP(3)
#endif

// Values of k in every slab but the last of n: equal shares of at most SLAB, whole rounds. The share is no constant, which
// keeps compilers from spelling out all rounds of a slab: that would be more code than an instruction cache holds.
static inline uint slab_depth(uint n)
{
    const uint slabs = max((n + SLAB - 1) / SLAB, 1u);
    return ((n + slabs - 1) / slabs + STEPS - 1) / STEPS * STEPS;
}

// sum[row][column] += the products of the first `depth` k of the slabs for item (ix, iy).
#define MULTIPLY_ROW(r, factor)                   \
    SUM(r, 0) = fma((factor), b_lo.x, SUM(r, 0)); \
    SUM(r, 1) = fma((factor), b_lo.y, SUM(r, 1)); \
    SUM(r, 2) = fma((factor), b_lo.z, SUM(r, 2)); \
    SUM(r, 3) = fma((factor), b_lo.w, SUM(r, 3)); \
    SUM(r, 4) = fma((factor), b_hi.x, SUM(r, 4)); \
    SUM(r, 5) = fma((factor), b_hi.y, SUM(r, 5)); \
    SUM(r, 6) = fma((factor), b_hi.z, SUM(r, 6)); \
    SUM(r, 7) = fma((factor), b_hi.w, SUM(r, 7));
#define MULTIPLY_STEP(k)                                                               \
    {                                                                                  \
        const float4 a_lo = a[(k) * (A_LD / 4)], a_hi = a[(k) * (A_LD / 4) + ITEMS_Y]; \
        const float4 b_lo = b[(k) * (B_LD / 4)], b_hi = b[(k) * (B_LD / 4) + ITEMS_X]; \
        MULTIPLY_ROW(0, a_lo.x)                                                        \
        MULTIPLY_ROW(1, a_lo.y)                                                        \
        MULTIPLY_ROW(2, a_lo.z)                                                        \
        MULTIPLY_ROW(3, a_lo.w)                                                        \
        MULTIPLY_ROW(4, a_hi.x)                                                        \
        MULTIPLY_ROW(5, a_hi.y)                                                        \
        MULTIPLY_ROW(6, a_hi.z)                                                        \
        MULTIPLY_ROW(7, a_hi.w)                                                        \
    }
// Addresses move along, so that each read is at a constant distance from one of them.
ITEM_INLINE void multiply_slab(__local const float4 *a, __local const float4 *b, uint ix, uint iy, uint depth,
                               float *sum)
{
    a += iy;
    b += ix;
    for (uint i = depth / STEPS; i != 0; --i, a += STEPS * (A_LD / 4), b += STEPS * (B_LD / 4)) {
        MULTIPLY_STEPS
    }
    for (uint i = depth % STEPS; i != 0; --i, a += A_LD / 4, b += B_LD / 4)
        MULTIPLY_STEP(0)
}

#define CLEAR_ROW(r)                                      \
    SUM(r, 0) = SUM(r, 1) = SUM(r, 2) = SUM(r, 3) = 0.0f; \
    SUM(r, 4) = SUM(r, 5) = SUM(r, 6) = SUM(r, 7) = 0.0f;
ITEM_INLINE void clear_item(float *sum) { EACH_ROW(CLEAR_ROW); }

// c[0 … 3] (+)= alpha · v, of which only the first `count` exist.
ITEM_INLINE void store_quad(__global O *c, uint count, float4 v, float alpha, uint accumulate)
{
    if (count > 0)
        O_ST(c, 0, accumulate != 0 ? fma(alpha, v.x, O_LD(c, 0)) : alpha * v.x);
    if (count > 1)
        O_ST(c, 1, accumulate != 0 ? fma(alpha, v.y, O_LD(c, 1)) : alpha * v.y);
    if (count > 2)
        O_ST(c, 2, accumulate != 0 ? fma(alpha, v.z, O_LD(c, 2)) : alpha * v.z);
    if (count > 3)
        O_ST(c, 3, accumulate != 0 ? fma(alpha, v.w, O_LD(c, 3)) : alpha * v.w);
}

// c (+)= alpha · sum where the item's outputs exist; c is the tile's first element.
#define STORE_ROW(r)                                                                                               \
    row = (r) / 4 * 4 * ITEMS_Y + 4 * iy + (r) % 4;                                                                \
    if (row < rows_left) {                                                                                         \
        __global O *const to = c + (size_t)row * stride + 4 * ix;                                                  \
        store_quad(to, lo, (float4)(SUM(r, 0), SUM(r, 1), SUM(r, 2), SUM(r, 3)), alpha, accumulate);               \
        store_quad(to + 4 * ITEMS_X, hi, (float4)(SUM(r, 4), SUM(r, 5), SUM(r, 6), SUM(r, 7)), alpha, accumulate); \
    }
ITEM_INLINE void store_item(__global O *c, uint stride, uint rows_left, uint cols_left, uint ix, uint iy, float *sum,
                            float alpha, uint accumulate)
{
    const uint lo = left_of(cols_left, 4 * ix), hi = left_of(cols_left, 4 * (ITEMS_X + ix));
    uint row;
    EACH_ROW(STORE_ROW)
}
#endif
