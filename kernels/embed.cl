// SPDX-License-Identifier: Apache-2.0
// embed: x[row] = table[ids[row]].
//   ids [rows] i32 (the host has checked them; clamped here only to stay in memory) · table [vocab, dim] t
//   x [rows, dim] t; a part of a table leaves the rows of other ids alone
// Launch: one work-group copies SY_ROWS(WG) rows. Bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void embed(__global const int *restrict ids, __global const T *restrict table, __global T *restrict x,
                  const struct sy_embed_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    const uint vectors = p.dim / VEC * VEC;
    for (uint row = first; row < first + count; ++row) {
        const uint id = (uint)ids[row] - p.first;
        if (p.part != 0u && id >= p.vocab)
            continue;
        __global const T *from = table + min(id, p.vocab - 1u) * p.dim;
        __global T *to = x + row * p.dim;
        for (uint i = lid * VEC; i < vectors; i += WG * VEC)
            T_COPYV(to + i, from + i);
        SCALARS for (uint i = vectors + lid; i < p.dim; i += WG)
            to[i] = from[i];
    }
}
