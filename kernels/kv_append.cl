// SPDX-License-Identifier: Apache-2.0
// kv_append: cache[b][position][j] = kv[b·src_stride + src_offset + j], j < width, position from the step constants.
//   kv [batch rows of src_stride] t · c · cache [batch, t_max, width] t, the rest of it untouched
// Launch: one work-group copies SY_ROWS(WG) sequences; nothing happens when position ≥ t_max. Bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void kv_append(__global const T *restrict kv, __constant struct sy_step *c, __global T *restrict cache,
                      const struct sy_kv_append_args p)
{
    GROUP_GUARD(SY_PIECES(p.batch, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, vectors = p.width / VEC * VEC, position = c->position;
    const uint first = GROUP_ID * SY_ROWS(WG), count = position < p.t_max ? min(SY_ROWS(WG), p.batch - first) : 0u;
    for (uint b = first; b < first + count; ++b) {
        __global const T *from = kv + b * p.src_stride + p.src_offset;
        __global T *to = cache + (b * p.t_max + position) * p.width;
        for (uint i = lid * VEC; i < vectors; i += WG * VEC)
            T_COPYV(to + i, from + i);
        for (uint i = vectors + lid; i < p.width; i += WG)
            to[i] = from[i];
    }
}
