#version 450
// SPDX-License-Identifier: Apache-2.0
// copy: y[row·to_stride + to_at + j] = x[row·from_stride + from_at + j], j < cols, row < rows: a block of a matrix.
//   x t, y t, the rest of it untouched
// Launch: one work-group copies SY_CHUNK(WG) columns of SY_ROWS(WG) rows. Bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN4(0, T, x);
INOUT4(1, T, y);
ARGS(sy_copy_args);

void main()
{
    const uint lid = LOCAL_ID, tiles = SY_PIECES(p.cols, SY_CHUNK(WG));
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)) * tiles);
    const uint left = GROUP_ID % tiles * SY_CHUNK(WG), right = min(left + SY_CHUNK(WG), p.cols);
    const uint first = GROUP_ID / tiles * SY_ROWS(WG), end = first + min(SY_ROWS(WG), p.rows - first);
    for (uint row = first; row < end; ++row) {
        const uint from = row * p.from_stride + p.from_at, to = row * p.to_stride + p.to_at;
        const uint quads = (from | to) % 4u == 0u ? (right - left) / 4u : 0u; // of both, where they begin at a multiple
        for (uint i = lid; i < quads; i += WG)
            y4[(to + left) / 4u + i] = x4[(from + left) / 4u + i];
        for (uint i = left + 4u * quads + lid; i < right; i += WG)
            y[to + i] = x[from + i];
    }
}
