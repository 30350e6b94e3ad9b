#version 450
// SPDX-License-Identifier: Apache-2.0
// combine_dh: dh[s] = gate[src[s]] · dy[src[s] / k], zeros where src[s] = −1 (an unused slot).
//   dy [rows, dim] t · src [slots] i32 = token·k + choice · gate [rows, k] f32 · dh [slots, dim] t
// Launch: one work-group does SY_ROWS(WG) slots. One product an element: bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN(0, T, dy);
IN(1, int, src);
IN(2, float, gate);
OUT(3, T, dh);
ARGS(sy_dispatch_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.slots, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.slots - first);
    for (uint s = first; s < first + count; ++s) {
        const int source = src[s];
        const uint from = source >= 0 ? uint(source) / p.k * p.dim : 0u;
        const float g = source >= 0 ? gate[max(source, 0)] : 0.0;
        for (uint i = lid; i < p.dim; i += WG)
            T_ST(dh, s * p.dim + i, source >= 0 ? g * T_LD(dy, from + i) : 0.0);
    }
}
