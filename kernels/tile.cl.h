// SPDX-License-Identifier: Apache-2.0
// tile.cl.h: the local-memory tile of matmul and matmul_dw.
//
// A work-group computes TILE_ROWS × TILE_COLS outputs, SLICE values of k at a time: it copies the slice of A and of B
// to local memory as f32, k by k, then every item multiplies 8 rows with 8 columns in registers. An item owns two quads
// of rows and two of columns, half a tile apart, so that neighbouring items read neighbouring quads: no bank conflicts.
#ifndef SY_TILE_CL_H
#define SY_TILE_CL_H
#include "common.cl.h"
#include "tiles.h"

#define ITEMS_X SY_ITEMS_X(WG)
#define ITEMS_Y SY_ITEMS_Y(WG)
#define TILE_ROWS (SY_ITEM * ITEMS_Y)
#define TILE_COLS (SY_ITEM * ITEMS_X)
#define SLICE (WG > 64 ? 8u : 16u) // keeps both slices below 16 KiB for every WG
#define A_LD (TILE_ROWS + 4)       // the padding spreads transposed writes over the banks
#define B_LD (TILE_COLS + 4)
#define A_SLICE (SLICE * A_LD)
#define B_SLICE (SLICE * B_LD)

// p[0 … 3], of which only the first `count` exist; zeros for the others.
inline float4 load_quad(__global const T *p, uint count)
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

inline uint left_of(uint limit, uint at) { return limit > at ? limit - at : 0; }

// slice[k][line] of a matrix stored [line][k] if by_line, else [k][line], its rows `stride` apart; x is line 0, k 0 of
// this tile and slice.
inline void load_slice(__local float *slice, uint ld, uint lines, __global const T *restrict x, uint stride,
                       bool by_line, uint lines_left, uint k_left, uint lid)
{
    for (uint i = lid; i < lines * (SLICE / 4); i += WG) {
        if (by_line) {
            const uint line = i / (SLICE / 4), k = i % (SLICE / 4) * 4;
            const float4 v = load_quad(x + (size_t)line * stride + k, line < lines_left ? left_of(k_left, k) : 0);
            slice[k * ld + line] = v.x;
            slice[(k + 1) * ld + line] = v.y;
            slice[(k + 2) * ld + line] = v.z;
            slice[(k + 3) * ld + line] = v.w;
        } else {
            const uint line = i % (lines / 4) * 4, k = i / (lines / 4);
            const float4 v = load_quad(x + (size_t)k * stride + line, k < k_left ? left_of(lines_left, line) : 0);
            vstore4(v, 0, slice + k * ld + line);
        }
    }
}

// sum[2·row + half] += the slice's products for item (ix, iy).
inline void multiply_slice(__local const float *a, __local const float *b, uint ix, uint iy, float4 *sum)
{
    for (uint k = 0; k < SLICE; ++k) {
        const float4 a_lo = vload4(iy, a + k * A_LD), a_hi = vload4(ITEMS_Y + iy, a + k * A_LD);
        const float4 b_lo = vload4(ix, b + k * B_LD), b_hi = vload4(ITEMS_X + ix, b + k * B_LD);
        const float rows[SY_ITEM] = {a_lo.x, a_lo.y, a_lo.z, a_lo.w, a_hi.x, a_hi.y, a_hi.z, a_hi.w};
        for (uint r = 0; r < SY_ITEM; ++r) {
            sum[2 * r] = fma((float4)(rows[r]), b_lo, sum[2 * r]);
            sum[2 * r + 1] = fma((float4)(rows[r]), b_hi, sum[2 * r + 1]);
        }
    }
}

inline void clear_item(float4 *sum)
{
    for (uint i = 0; i < 2 * SY_ITEM; ++i)
        sum[i] = (float4)(0.0f);
}

// c (+)= alpha · sum where the item's outputs exist; c is the tile's first element.
inline void store_item(__global O *c, uint stride, uint rows_left, uint cols_left, uint ix, uint iy, const float4 *sum,
                       float alpha, uint accumulate)
{
    for (uint i = 0; i < 2 * SY_ITEM; ++i) {
        const uint row = i / SY_ITEM * 4 * ITEMS_Y + 4 * iy + i / 2 % 4, col = i % 2 * 4 * ITEMS_X + 4 * ix;
        const float v[4] = {sum[i].x, sum[i].y, sum[i].z, sum[i].w};
        const size_t at = (size_t)row * stride + col;
        for (uint j = 0; j < 4; ++j)
            if (row < rows_left && col + j < cols_left)
                O_ST(c, at + j, accumulate != 0 ? fma(alpha, v[j], O_LD(c, at + j)) : alpha * v[j]);
    }
}
#endif
