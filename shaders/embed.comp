#version 450
// SPDX-License-Identifier: Apache-2.0
// embed: x[row] = table[ids[row]].
//   ids [rows] i32 (the host has checked them; clamped here only to stay in memory) · table [vocab, dim] t
//   x [rows, dim] t; a part of a table leaves the rows of other ids alone
// Launch: one work-group copies SY_ROWS(WG) rows. Bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN(0, int, ids);
IN(1, T, table);
OUT(2, T, x);
ARGS(sy_embed_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint row = first; row < first + count; ++row) {
        const uint id = uint(ids[row]) - p.first;
        if (p.part != 0u && id >= p.vocab)
            continue;
        const uint from = min(id, p.vocab - 1u) * p.dim, to = row * p.dim;
        for (uint i = lid; i < p.dim; i += WG)
            x[to + i] = table[from + i];
    }
}
