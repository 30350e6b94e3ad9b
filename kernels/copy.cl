// SPDX-License-Identifier: Apache-2.0
// copy: y[row·to_stride + to_at + j] = x[row·from_stride + from_at + j], j < cols, row < rows: a block of a matrix.
//   x t, y t, the rest of it untouched
// Launch: one work-group copies SY_CHUNK(WG) columns of SY_ROWS(WG) rows. Bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void copy(__global const T *restrict x, __global T *restrict y, const struct sy_copy_args p)
{
    const uint lid = LOCAL_ID, tiles = SY_PIECES(p.cols, SY_CHUNK(WG));
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)) * tiles);
    const uint left = GROUP_ID % tiles * SY_CHUNK(WG), right = min(left + SY_CHUNK(WG), p.cols);
    const uint vectors = left + (right - left) / VEC * VEC;
    const uint first = GROUP_ID / tiles * SY_ROWS(WG), end = first + min(SY_ROWS(WG), p.rows - first);
    for (uint row = first; row < end; ++row) {
        __global const T *from = x + row * p.from_stride + p.from_at;
        __global T *to = y + row * p.to_stride + p.to_at;
        for (uint i = left + lid * VEC; i < vectors; i += WG * VEC)
            T_COPYV(to + i, from + i);
        for (uint i = vectors + lid; i < right; i += WG)
            to[i] = from[i];
    }
}
