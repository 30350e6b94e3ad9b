#version 450
// SPDX-License-Identifier: Apache-2.0
// combine_dgate: dgate[row, r] = dy[row] · h[slot[row, r]]; 0 where slot = −1, so a dropped choice gets no gradient.
//   dy [rows, dim] t · h [slots, dim] t · slot [rows, k] i32 · dgate [rows, k] f32
// Launch: one work-group does SY_ROWS(WG) of the rows·k products. The order of a sum depends on dim and WG.
#include "common.glsl"
#include "chunk.h"

IN(0, T, dy);
IN(1, T, h);
IN(2, int, slot);
OUT(3, float, dgate);
ARGS(sy_dispatch_args);
LOCAL_SCRATCH;

void main()
{
    const uint pairs = p.rows * p.k;
    GROUP_GUARD(SY_PIECES(pairs, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), pairs - first);
    for (uint i = first; i < first + count; ++i) {
        const int at = slot[i];
        const uint dim = at >= 0 ? p.dim : 0u; // nothing to add without a slot
        const uint a = i / p.k * p.dim, b = at >= 0 ? uint(at) * p.dim : 0u;
        float sum = 0.0;
        for (uint j = lid; j < dim; j += WG)
            sum = fma(T_LD(dy, a + j), T_LD(h, b + j), sum);
        GROUP_SUM(sum, total);
        if (lid == 0u)
            dgate[i] = total;
    }
}
