// SPDX-License-Identifier: Apache-2.0
// rmsnorm_dx: dx = rstd · (w·dy − x · rstd² · mean(w·dy·x)), plus res when p.has_res (the residual path's gradient).
//   dy, x [rows, dim] t · w [dim] t · rstd [rows] f32 · res [rows, dim] t (has_res only) · dx [rows, dim] t
// Launch: one work-group does SY_ROWS(WG) rows, one after the other.
// Determinism: the order of the sum depends on dim, WG and VEC.
#include "common.cl.h"
#include "chunk.h"

KERNEL void rmsnorm_dx(__global const T *restrict dy, __global const T *restrict x, __global const T *restrict w,
                       __global const float *restrict rstd, __global const T *restrict res, __global T *restrict dx,
                       const struct sy_rmsnorm_dx_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    const uint vectors = p.dim / VEC * VEC;
    LOCAL_SCRATCH(scratch);
    for (uint row = first; row < first + count; ++row) {
        const uint at = row * p.dim;
        VF dots = (VF)(0.0f);
        for (uint i = lid * VEC; i < vectors; i += WG * VEC)
            dots = fma(T_LDV(w, i) * T_LDV(dy, at + i), T_LDV(x, at + i), dots);
        float dot = VSUM(dots);
        SCALARS for (uint i = vectors + lid; i < p.dim; i += WG)
            dot = fma(T_LD(w, i) * T_LD(dy, at + i), T_LD(x, at + i), dot);
        GROUP_SUM(scratch, dot, total);
        const float scale = rstd[row], pull = -scale * scale * scale * (total / (float)p.dim);
        for (uint i = lid * VEC; i < vectors; i += WG * VEC) {
            VF g = fma((VF)(pull), T_LDV(x, at + i), scale * (T_LDV(w, i) * T_LDV(dy, at + i)));
            if (p.has_res != 0u)
                g += T_LDV(res, at + i);
            T_STV(dx, at + i, g);
        }
        SCALARS for (uint i = vectors + lid; i < p.dim; i += WG) {
            float g = fma(pull, T_LD(x, at + i), scale * (T_LD(w, i) * T_LD(dy, at + i)));
            if (p.has_res != 0u)
                g += T_LD(res, at + i);
            T_ST(dx, at + i, g);
        }
    }
}
