// SPDX-License-Identifier: Apache-2.0
// matmul_mma: matmul of bf16 factors on NVIDIA's matrix cores (mma.cl.h). Bindings as in matmul.cl.
// Launch: one work-group per (MMA_ROWS rows of a row tile, MMA_COLS columns). Dense, a tile is MMA_ROWS rows.
// Determinism: each output is a chain of matrix-core products of 16 values of k each, over ascending k.
#include "common.cl.h"
#include "mma.cl.h"

KERNEL void matmul_mma(__global const T *restrict a, __global const T *restrict b, __global const int *restrict tiles,
                       __global O *restrict c, const struct sy_matmul_args p)
{
    const uint ragged = p.experts > 1 || p.of != 0;
    const uint across = (p.n + MMA_COLS - 1) / MMA_COLS, parts = (p.tile_rows + MMA_ROWS - 1) / MMA_ROWS;
    const uint down = ragged != 0 ? p.tiles * parts : (p.m + MMA_ROWS - 1) / MMA_ROWS;
    GROUP_GUARD(down * across);
    const uint lid = LOCAL_ID, band = GROUP_ID / (SY_MMA_BAND * across) * SY_MMA_BAND;
    const uint high = min(SY_MMA_BAND, down - band), in_band = GROUP_ID - band * across;
    const uint block = band + in_band % high, col0 = in_band / high * MMA_COLS;
    int expert = 0;
    uint row0 = block * MMA_ROWS, end = p.m;
    if (ragged != 0) {
        const uint tile = block / parts;
        expert = tiles[4 * tile] - (int)p.first; // of other parts: below 0, or too large
        expert = expert < (int)p.experts ? expert : -1;
        row0 = (uint)tiles[4 * tile + 1] + block % parts * MMA_ROWS;
        end = expert < 0 ? 0 : (uint)tiles[4 * tile + 2];
    }
    const uint rows_left = end > row0 ? end - row0 : 0, k = rows_left != 0 ? p.k : 0; // no rows: nothing to do, together
    __global const T *own = b + (size_t)max(expert, 0) * p.n * p.k;

    MMA_LOCAL(slabs);
    EXCHANGE(exchange);
    float sum[128];
    clear_sums(sum);
    const struct side x = {a + (size_t)row0 * p.k, p.k, 1, rows_left};
    const struct side y = {own + (p.bt != 0 ? (size_t)col0 * p.k : col0), p.bt != 0 ? p.k : p.n, p.bt, p.n - col0};
#ifdef PTX // two loops, each with one way to read B
    if (p.bt != 0)
        multiply_sides(sum, x, (struct side){y.at, p.k, 1, y.left}, k, slabs, lid, exchange);
    else
        multiply_sides(sum, x, (struct side){y.at, p.n, 0, y.left}, k, slabs, lid, exchange);
#else
    multiply_sides(sum, x, y, k, slabs, lid, exchange);
#endif
    store_sums(c + (size_t)row0 * p.n + col0, p.n, rows_left, p.n - col0, lid, sum, p.alpha, p.accumulate);
}
