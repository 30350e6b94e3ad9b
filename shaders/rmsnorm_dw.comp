#version 450
// SPDX-License-Identifier: Apache-2.0
// rmsnorm_dw: part[q][d] = Σ dy[row][d] · x[row][d] · rstd[row] over row block q of a slice; sum_rows finishes w.
//   dy, x [rows, dim] t · rstd [rows] f32 · part [slices, parts, dim] f32 (empty blocks get 0)
// Launch: one work-group does SY_COLS(WG) columns of one row block.
// Determinism: rows are added in ascending order; bit-equal wherever fma is.
#include "common.glsl"
#include "chunk.h"

IN(0, T, dy);
IN(1, T, x);
IN(2, float, rstd);
OUT(3, float, part);
ARGS(sy_rmsnorm_dw_args);

void main()
{
    const uint lid = LOCAL_ID, tiles = SY_PIECES(p.dim, SY_COLS(WG));
    GROUP_GUARD(p.slices * p.parts * tiles);
    const uint q = GROUP_ID / tiles, left = GROUP_ID % tiles * SY_COLS(WG), count = min(SY_COLS(WG), p.dim - left);
    const uint length = p.rows / p.slices, end = (q / p.parts + 1u) * length, size = SY_PIECES(length, p.parts);
    const uint first = min(end - length + q % p.parts * size, end), last = min(first + size, end);
    for (uint j = left + lid; j < left + count; j += WG) {
        float sum = 0.0;
        for (uint row = first; row < last; ++row)
            sum = fma(T_LD(dy, row * p.dim + j) * rstd[row], T_LD(x, row * p.dim + j), sum);
        part[q * p.dim + j] = sum;
    }
}
