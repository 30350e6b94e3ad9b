// SPDX-License-Identifier: Apache-2.0
// rmsnorm: rstd[row] = 1 / sqrt(mean(x²) + eps), y = w · x · rstd.
//   x [rows, dim] t · w [dim] t · y [rows, dim] t · rstd [rows] f32
// Launch: one work-group does SY_ROWS(WG) rows, one after the other.
// Determinism: the order of the sum depends on dim, WG and VEC.
#include "common.cl.h"
#include "chunk.h"

KERNEL void rmsnorm(__global const T *restrict x, __global const T *restrict w, __global T *restrict y,
                    __global float *restrict rstd, const struct sy_rmsnorm_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    const uint vectors = p.dim / VEC * VEC;
    LOCAL_SCRATCH(scratch);
    for (uint row = first; row < first + count; ++row) {
        const uint at = row * p.dim;
        VF squares = (VF)(0.0f);
        for (uint i = lid * VEC; i < vectors; i += WG * VEC) {
            const VF v = T_LDV(x, at + i);
            squares = fma(v, v, squares);
        }
        float square = VSUM(squares);
        SCALARS for (uint i = vectors + lid; i < p.dim; i += WG) {
            const float v = T_LD(x, at + i);
            square = fma(v, v, square);
        }
        GROUP_SUM(scratch, square, total);
        const float scale = 1.0f / sqrt(total / (float)p.dim + p.eps);
        if (lid == 0u)
            rstd[row] = scale;
        uint begin = 0u;
#if WG == 1
        for (; begin + T_PAIR <= p.dim; begin += T_PAIR) {
            VF a, b, c, d;
            T_LD2(x, at + begin, a, b);
            T_LD2(w, begin, c, d);
            T_ST2(y, at + begin, a * scale * c, b * scale * d);
        }
#endif
        for (uint i = begin + lid * VEC; i < vectors; i += WG * VEC)
            T_STV(y, at + i, T_LDV(x, at + i) * scale * T_LDV(w, i));
        SCALARS for (uint i = vectors + lid; i < p.dim; i += WG)
            T_ST(y, at + i, T_LD(x, at + i) * scale * T_LD(w, i));
    }
}
