#version 450
// SPDX-License-Identifier: Apache-2.0
// dispatch: xe[s] = x[src[s] / k], zeros where src[s] = −1 (an unused slot). Nothing is computed: rows are copied.
//   x [rows, dim] t · src [slots] i32 = token·k + choice · xe [slots, dim] t
// Launch: one work-group does SY_ROWS(WG) slots. Bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN4(0, T, x);
IN(1, int, src);
OUT4(2, T, xe);
ARGS(sy_dispatch_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.slots, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.slots - first);
    for (uint s = first; s < first + count; ++s) {
        const int source = src[s];
        const uint from = source >= 0 ? uint(source) / p.k * p.dim : 0u;
        if (p.dim % 4u == 0u) {
            for (uint i = lid; i < p.dim / 4u; i += WG) {
                T4 quad = T4(0u);
                if (source >= 0)
                    quad = x4[from / 4u + i];
                xe4[s * (p.dim / 4u) + i] = quad;
            }
            continue;
        }
        for (uint i = lid; i < p.dim; i += WG) {
            float value = 0.0; // not a 16-bit zero: without the Int16 capability there are no such constants
            if (source >= 0)
                value = T_LD(x, from + i);
            T_ST(xe, s * p.dim + i, value);
        }
    }
}
