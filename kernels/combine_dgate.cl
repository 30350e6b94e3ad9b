// SPDX-License-Identifier: Apache-2.0
// combine_dgate: dgate[row, r] = dy[row] · h[slot[row, r]]; 0 where slot = −1, so a dropped choice gets no gradient.
//   dy [rows, dim] t · h [slots, dim] t · slot [rows, k] i32 · dgate [rows, k] f32
// Launch: one work-group does SY_ROWS(WG) of the rows·k products. The order of a sum depends on dim, WG and VEC.
#include "common.cl.h"
#include "chunk.h"

KERNEL void combine_dgate(__global const T *restrict dy, __global const T *restrict h,
                          __global const int *restrict slot, __global float *restrict dgate,
                          const struct sy_dispatch_args p)
{
    const uint pairs = p.rows * p.k;
    GROUP_GUARD(SY_PIECES(pairs, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), pairs - first);
    LOCAL_SCRATCH(scratch);
    for (uint i = first; i < first + count; ++i) {
        const int at = slot[i];
        const uint dim = at >= 0 ? p.dim : 0u, vectors = dim / VEC * VEC; // nothing to add without a slot
        const uint a = i / p.k * p.dim, b = at >= 0 ? (uint)at * p.dim : 0u;
        VF sums = (VF)(0.0f);
        for (uint j = lid * VEC; j < vectors; j += WG * VEC)
            sums = fma(T_LDV(dy, a + j), T_LDV(h, b + j), sums);
        float sum = VSUM(sums);
        SCALARS for (uint j = vectors + lid; j < dim; j += WG)
            sum = fma(T_LD(dy, a + j), T_LD(h, b + j), sum);
        GROUP_SUM(scratch, sum, total);
        if (lid == 0u)
            dgate[i] = total;
    }
}
