#version 450
// SPDX-License-Identifier: Apache-2.0
// kv_append: cache[b][position][j] = kv[b·src_stride + src_offset + j], j < width, position from the step constants.
//   kv [batch rows of src_stride] t · c · cache [batch, t_max, width] t, the rest of it untouched
// Launch: one work-group copies SY_ROWS(WG) sequences; nothing happens when position ≥ t_max. Bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN(0, T, kv);
STEP(1);
INOUT(2, T, cache);
ARGS(sy_kv_append_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.batch, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, position = c.position;
    const uint first = GROUP_ID * SY_ROWS(WG), count = position < p.t_max ? min(SY_ROWS(WG), p.batch - first) : 0u;
    for (uint b = first; b < first + count; ++b) {
        const uint from = b * p.src_stride + p.src_offset, to = (b * p.t_max + position) * p.width;
        for (uint i = lid; i < p.width; i += WG)
            cache[to + i] = kv[from + i];
    }
}
