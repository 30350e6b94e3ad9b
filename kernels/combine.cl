// SPDX-License-Identifier: Apache-2.0
// combine: y[row] = Σ_r gate[row, r] · h[slot[row, r]] over slots ≥ 0; zeros for a token that no expert processed.
//   h [slots, dim] t · slot [rows, k] i32 · gate [rows, k] f32 · y [rows, dim] t
// Launch: one work-group does SY_ROWS(WG) rows. Sums in f32 by fma, r ascending.
#include "common.cl.h"
#include "chunk.h"

KERNEL void combine(__global const T *restrict h, __global const int *restrict slot,
                    __global const float *restrict gate, __global T *restrict y, const struct sy_dispatch_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    const uint vectors = p.dim / VEC * VEC;
    for (uint row = first; row < first + count; ++row) {
        for (uint r = 0u; r < p.k; ++r)
            FETCH_FAR(h + (uint)max(slot[min(row + 8u, p.rows - 1u) * p.k + r], 0) * p.dim, p.dim * sizeof(T));
        uint begin = 0u;
#if WG == 1
        for (; begin + T_PAIR <= p.dim; begin += T_PAIR) {
            VF sum = (VF)(0.0f), more = (VF)(0.0f);
            for (uint r = 0u; r < p.k; ++r) {
                const int at = slot[row * p.k + r];
                VF a, b;
                if (at < 0)
                    continue;
                T_LD2(h, (uint)at * p.dim + begin, a, b);
                sum = fma((VF)(gate[row * p.k + r]), a, sum);
                more = fma((VF)(gate[row * p.k + r]), b, more);
            }
            T_ST2(y, row * p.dim + begin, sum, more);
        }
#endif
        for (uint i = begin + lid * VEC; i < vectors; i += WG * VEC) {
            VF sum = (VF)(0.0f);
            for (uint r = 0u; r < p.k; ++r) {
                const int at = slot[row * p.k + r];
                if (at >= 0)
                    sum = fma((VF)(gate[row * p.k + r]), T_LDV(h, (uint)at * p.dim + i), sum);
            }
            T_STV(y, row * p.dim + i, sum);
        }
        SCALARS for (uint i = vectors + lid; i < p.dim; i += WG) {
            float sum = 0.0f;
            for (uint r = 0u; r < p.k; ++r) {
                const int at = slot[row * p.k + r];
                if (at >= 0)
                    sum = fma(gate[row * p.k + r], T_LD(h, (uint)at * p.dim + i), sum);
            }
            T_ST(y, row * p.dim + i, sum);
        }
    }
}
