// SPDX-License-Identifier: Apache-2.0
// dispatch: xe[s] = x[src[s] / k], zeros where src[s] = −1 (an unused slot). Nothing is computed: rows are copied.
//   x [rows, dim] t · src [slots] i32 = token·k + choice · xe [slots, dim] t
// Launch: one work-group does SY_ROWS(WG) slots. Bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void dispatch(__global const T *restrict x, __global const int *restrict src, __global T *restrict xe,
                     const struct sy_dispatch_args p)
{
    GROUP_GUARD(SY_PIECES(p.slots, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.slots - first);
    const uint lines = p.dim / T_LINE * T_LINE;
    for (uint s = first; s < first + count; ++s) {
        const int source = src[s], next = src[min(s + 8u, p.slots - 1u)];
        FETCH_FAR(x + (uint)max(next, 0) / p.k * p.dim, p.dim * sizeof(T));
        const bool used = source >= 0;
        const uint from = used ? (uint)source / p.k * p.dim : 0u, to = s * p.dim;
        if (used) {
            for (uint i = lid * T_LINE; i < lines; i += WG * T_LINE)
                T_COPY_LINE(xe + to + i, x + from + i);
        } else {
            for (uint i = lid * VEC; i < lines; i += WG * VEC)
                T_STV(xe, to + i, (VF)(0.0f));
        }
        for (uint i = lines + lid; i < p.dim; i += WG)
            xe[to + i] = used ? x[from + i] : (T)0;
    }
}
