// SPDX-License-Identifier: Apache-2.0
// combine_dh: dh[s] = gate[src[s]] · dy[src[s] / k], zeros where src[s] = −1 (an unused slot).
//   dy [rows, dim] t · src [slots] i32 = token·k + choice · gate [rows, k] f32 · dh [slots, dim] t
// Launch: one work-group does SY_ROWS(WG) slots. One product an element: bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void combine_dh(__global const T *restrict dy, __global const int *restrict src,
                       __global const float *restrict gate, __global T *restrict dh, const struct sy_dispatch_args p)
{
    GROUP_GUARD(SY_PIECES(p.slots, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.slots - first);
    const uint vectors = p.dim / VEC * VEC;
    for (uint s = first; s < first + count; ++s) {
        const int source = src[s];
        const bool used = source >= 0;
        // In range whatever src holds: rusticl on llvmpipe loads once more, from the slot after the last, before it leaves
        // the loop, and hoists `used ? gate[source] : 0`.
        const uint place = min((uint)max(source, 0), p.rows * p.k - 1u);
        const uint from = place / p.k * p.dim, to = s * p.dim;
        const float g = gate[place];
        if (used) {
            for (uint i = lid * VEC; i < vectors; i += WG * VEC)
                T_STV(dh, to + i, g * T_LDV(dy, from + i));
        } else {
            for (uint i = lid * VEC; i < vectors; i += WG * VEC)
                T_STV(dh, to + i, (VF)(0.0f));
        }
        SCALARS for (uint i = vectors + lid; i < p.dim; i += WG) {
            const float product = g * T_LD(dy, from + i);
            T_ST(dh, to + i, used ? product : 0.0f);
        }
    }
}
