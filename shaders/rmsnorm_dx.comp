#version 450
// SPDX-License-Identifier: Apache-2.0
// rmsnorm_dx: dx = rstd · (w·dy − x · rstd² · mean(w·dy·x)), plus res when p.has_res (the residual path's gradient).
//   dy, x [rows, dim] t · w [dim] t · rstd [rows] f32 · res [rows, dim] t (has_res only) · dx [rows, dim] t
// Launch: one work-group does SY_ROWS(WG) rows, one after the other.
// Determinism: the order of the sum depends on dim and WG.
#include "common.glsl"
#include "chunk.h"

IN(0, T, dy);
IN(1, T, x);
IN(2, T, w);
IN(3, float, rstd);
IN(4, T, res);
OUT(5, T, dx);
ARGS(sy_rmsnorm_dx_args);
LOCAL_SCRATCH;

void main()
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint row = first; row < first + count; ++row) {
        const uint at = row * p.dim;
        float sum = 0.0;
        for (uint i = lid; i < p.dim; i += WG)
            sum = fma(T_LD(w, i) * T_LD(dy, at + i), T_LD(x, at + i), sum);
        GROUP_SUM(sum, total);
        const float scale = rstd[row], pull = -scale * scale * scale * (total / float(p.dim));
        for (uint i = lid; i < p.dim; i += WG) {
            float g = fma(pull, T_LD(x, at + i), scale * (T_LD(w, i) * T_LD(dy, at + i)));
            if (p.has_res != 0u)
                g += T_LD(res, at + i);
            T_ST(dx, at + i, g);
        }
    }
}
