#version 450
// SPDX-License-Identifier: Apache-2.0
// rmsnorm: rstd[row] = 1 / sqrt(mean(x²) + eps), y = w · x · rstd.
//   x [rows, dim] t · w [dim] t · y [rows, dim] t · rstd [rows] f32
// Launch: one work-group does SY_ROWS(WG) rows, one after the other.
// Determinism: the order of the sum depends on dim and WG.
#include "common.glsl"
#include "chunk.h"

IN4(0, T, x);
IN4(1, T, w);
OUT4(2, T, y);
OUT(3, float, rstd);
ARGS(sy_rmsnorm_args);
LOCAL_SCRATCH;

void main()
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint row = first; row < first + count; ++row) {
        const uint at = row * p.dim, quads = p.dim % 4u == 0u ? p.dim / 4u : 0u;
        float square = 0.0;
        for (uint i = lid; i < quads; i += WG) {
            const vec4 v = T4_LD(x4, at / 4u + i);
            square = fma(v.x, v.x, fma(v.y, v.y, fma(v.z, v.z, fma(v.w, v.w, square))));
        }
        for (uint i = 4u * quads + lid; i < p.dim; i += WG) {
            const float v = T_LD(x, at + i);
            square = fma(v, v, square);
        }
        GROUP_SUM(square, total);
        const float scale = 1.0 / sqrt(total / float(p.dim) + p.eps);
        if (lid == 0u)
            rstd[row] = scale;
        for (uint i = lid; i < quads; i += WG)
            T4_ST(y4, at / 4u + i, T4_LD(x4, at / 4u + i) * scale * T4_LD(w4, i));
        for (uint i = 4u * quads + lid; i < p.dim; i += WG)
            T_ST(y, at + i, T_LD(x, at + i) * scale * T_LD(w, i));
    }
}
