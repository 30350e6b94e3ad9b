#version 450
// SPDX-License-Identifier: Apache-2.0
// dropout: y[row][col] = bits(row0 + row, col) < threshold ? 0 : x[row][col] · scale; threshold 0 copies.
//   x [rows, cols] t · c · y [rows, cols] t
// Launch: one work-group does SY_ROWS(WG) rows. Its own backward (dy in, dx out). Masks are bit-equal everywhere.
#include "common.glsl"

IN4(0, T, x);
STEP(1);
OUT4(2, T, y);
ARGS(sy_dropout_args);
#include "dropout.glsl"

void main()
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint r = first; r < first + count; ++r) {
        const drop_row d = make_drop_row(p.threshold, p.scale, p.stream, p.stack, r, 0u);
        for (uint quad = lid; quad < SY_PIECES(p.cols, 4u); quad += WG) {
            const vec4 factor = drop_factors(d, quad);
            if (p.cols % 4u == 0u) {
                const uint i = r * (p.cols / 4u) + quad;
                T4_ST(y4, i, kept(T4_LD(x4, i), factor));
                continue;
            }
            const uint left = min(4u, p.cols - 4u * quad);
            for (uint j = 0u; j < left; ++j) {
                const uint at = r * p.cols + 4u * quad + j;
                T_ST(y, at, kept(T_LD(x, at), factor[j]));
            }
        }
    }
}
