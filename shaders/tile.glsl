// SPDX-License-Identifier: Apache-2.0
// tile.glsl: the shared-memory tile of matmul and matmul_dw; the GLSL twin of kernels/tile.cl.h, which explains it.
// The includer declares its bindings first: buffers cannot be arguments, so the loaders are macros.
#include "tiles.h"

const uint ITEMS_X = SY_ITEMS_X(WG);
const uint ITEMS_Y = SY_ITEMS_Y(WG);
const uint TILE_ROWS = SY_ITEM * ITEMS_Y;
const uint TILE_COLS = SY_ITEM * ITEMS_X;
const uint SLAB = WG > 64u ? 8u : 16u;
const uint A_LD = TILE_ROWS + 4u;
const uint B_LD = TILE_COLS + 4u;

// Quads: of single floats a compiler cannot tell that four together lie on 16 bytes, and reads them in two halves.
shared vec4 a_slab[SLAB * A_LD / 4u];
shared vec4 b_slab[SLAB * B_LD / 4u];
vec4 sum[2u * SY_ITEM];

uint left_of(uint limit, uint at) { return limit > at ? limit - at : 0u; }

// v = src[at … at + 3], of which only the first `count` exist; zeros for the others.
#define LOAD_QUAD(v, src, at, count)                                                                            \
    vec4 v = vec4(0.0);                                                                                         \
    if ((count) >= 4u) {                                                                                        \
        v = vec4(T_LD(src, (at)), T_LD(src, (at) + 1u), T_LD(src, (at) + 2u), T_LD(src, (at) + 3u));            \
    } else if ((count) > 0u) {                                                                                  \
        v.x = T_LD(src, (at));                                                                                  \
        if ((count) > 1u)                                                                                       \
            v.y = T_LD(src, (at) + 1u);                                                                         \
        if ((count) > 2u)                                                                                       \
            v.z = T_LD(src, (at) + 2u);                                                                         \
    }

// slab[k][line] of a matrix stored [line][k], `stride` apart; src[base] is its line 0, k 0 of this tile and slab.
#define LOAD_LINES(slab, ld, lines, src, base, stride, lines_left, k_left)                                      \
    for (uint i = lid; i < (lines) * (SLAB / 4u); i += WG) {                                                    \
        const uint line = i / (SLAB / 4u), k = i % (SLAB / 4u) * 4u;                                            \
        const uint count = line < (lines_left) ? left_of(k_left, k) : 0u;                                       \
        LOAD_QUAD(v, src, (base) + line * (stride) + k, count)                                                  \
        const uint at = k * (ld / 4u) + line / 4u;                                                              \
        slab[at][line % 4u] = v.x;                                                                              \
        slab[at + ld / 4u][line % 4u] = v.y;                                                                    \
        slab[at + ld / 4u * 2u][line % 4u] = v.z;                                                               \
        slab[at + ld / 4u * 3u][line % 4u] = v.w;                                                               \
    }

// The same of a matrix stored [k][line].
#define LOAD_DEPTH(slab, ld, lines, src, base, stride, lines_left, k_left)                                      \
    for (uint i = lid; i < (lines) / 4u * SLAB; i += WG) {                                                      \
        const uint line = i % ((lines) / 4u) * 4u, k = i / ((lines) / 4u);                                      \
        const uint count = k < (k_left) ? left_of(lines_left, line) : 0u;                                       \
        LOAD_QUAD(v, src, (base) + k * (stride) + line, count)                                                  \
        slab[k * (ld / 4u) + line / 4u] = v;                                                                    \
    }

void multiply_slab(uint ix, uint iy)
{
    // Steps of 4: enough for the compiler to read ahead, and a loop that stays in an instruction cache.
    [[dont_unroll]] for (uint k_first = 0u; k_first < SLAB; k_first += 4u)
        [[unroll]] for (uint step = 0u; step < 4u; ++step) {
            const uint k = k_first + step;
            const vec4 a_lo = a_slab[k * (A_LD / 4u) + iy], a_hi = a_slab[k * (A_LD / 4u) + ITEMS_Y + iy];
            const vec4 b_lo = b_slab[k * (B_LD / 4u) + ix], b_hi = b_slab[k * (B_LD / 4u) + ITEMS_X + ix];
            [[unroll]] for (uint r = 0u; r < 4u; ++r) {
                sum[2u * r] = fma(vec4(a_lo[r]), b_lo, sum[2u * r]);
                sum[2u * r + 1u] = fma(vec4(a_lo[r]), b_hi, sum[2u * r + 1u]);
                sum[2u * r + 8u] = fma(vec4(a_hi[r]), b_lo, sum[2u * r + 8u]);
                sum[2u * r + 9u] = fma(vec4(a_hi[r]), b_hi, sum[2u * r + 9u]);
            }
        }
}

void clear_item()
{
    [[unroll]] for (uint i = 0u; i < 2u * SY_ITEM; ++i)
        sum[i] = vec4(0.0);
}

// c (+)= alpha · sum where the item's outputs exist; c[base] is the tile's first element.
#define STORE_ITEM(c, base, stride, rows_left, cols_left, LD, ST)                                               \
    [[unroll]] for (uint i = 0u; i < 2u * SY_ITEM; ++i) {                                                       \
        const uint row = i / SY_ITEM * 4u * ITEMS_Y + 4u * iy + i / 2u % 4u;                                    \
        const uint col = i % 2u * 4u * ITEMS_X + 4u * ix, at = (base) + row * (stride) + col;                   \
        [[unroll]] for (uint j = 0u; j < 4u; ++j)                                                               \
            if (row < (rows_left) && col + j < (cols_left))                                                     \
                ST(c, at + j, p.accumulate != 0u ? fma(p.alpha, sum[i][j], LD(c, at + j)) : p.alpha * sum[i][j]);\
    }
