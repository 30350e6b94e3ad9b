#version 450
// SPDX-License-Identifier: Apache-2.0
// copy: y[row·to_stride + to_at + j] = x[row·from_stride + from_at + j], j < cols, row < rows: a block of a matrix.
//   x t, y t, the rest of it untouched
// Launch: one work-group copies SY_COLS(WG) columns of SY_ROWS(WG) rows. Bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN(0, T, x);
INOUT(1, T, y);
ARGS(sy_copy_args);

void main()
{
    const uint lid = LOCAL_ID, tiles = SY_PIECES(p.cols, SY_COLS(WG));
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)) * tiles);
    const uint left = GROUP_ID % tiles * SY_COLS(WG), right = min(left + SY_COLS(WG), p.cols);
    const uint first = GROUP_ID / tiles * SY_ROWS(WG), end = first + min(SY_ROWS(WG), p.rows - first);
    for (uint row = first; row < end; ++row) {
        const uint from = row * p.from_stride + p.from_at, to = row * p.to_stride + p.to_at;
        for (uint i = left + lid; i < right; i += WG)
            y[to + i] = x[from + i];
    }
}
