#version 450
// SPDX-License-Identifier: Apache-2.0
// embed_bwd: table[s][id] += Σ dx[row] over the rows of slice s with that id.
//   index [slices, 2 + 3·rows/slices] i32 (U, the distinct ids, the start of each id's run, rows sorted by id: see op_args.h)
//   dx [rows, dim] t · table [slices, vocab, dim] f32, accumulated; a part of a table takes no other ids
// Launch: one work-group does SY_COLS(WG) columns of SY_ROWS(WG) distinct ids of a slice; those beyond U do nothing.
// Determinism: the rows of an id are added in ascending order by one writer; bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN(0, int, index);
IN(1, T, dx);
INOUT(2, float, table);
ARGS(sy_embed_bwd_args);

// `list` is where a slice's row numbers begin, `column` counts from its first element of dx.
float run_sum(uint list, uint column, uint begin, uint end)
{
    float sum = 0.0;
    uint i = begin;
    for (; i + SY_UNROLL <= end; i += SY_UNROLL) {
        [[unroll]] for (uint u = 0u; u < SY_UNROLL; ++u)
            sum += T_LD(dx, uint(index[list + i + u]) * p.dim + column);
    }
    for (; i < end; ++i)
        sum += T_LD(dx, uint(index[list + i]) * p.dim + column);
    return sum;
}

void main()
{
    const uint lid = LOCAL_ID, tiles = SY_PIECES(p.dim, SY_COLS(WG)), rows = p.rows / p.slices;
    const uint pieces = SY_PIECES(rows, SY_ROWS(WG));
    GROUP_GUARD(p.slices * pieces * tiles);
    const uint slice = GROUP_ID / tiles / pieces, block = slice * (2u + 3u * rows);
    const uint left = GROUP_ID % tiles * SY_COLS(WG), right = min(left + SY_COLS(WG), p.dim);
    const uint starts = block + 1u + rows; // where the run starts begin; the ids are before them
    const uint first = GROUP_ID / tiles % pieces * SY_ROWS(WG);
    const uint last = min(first + SY_ROWS(WG), min(uint(index[block]), rows));
    for (uint u = first; u < last; ++u) {
        const uint id = uint(index[block + 1u + u]) - p.first;
        if (p.part != 0u && id >= p.vocab)
            continue;
        const uint to = (slice * p.vocab + min(id, p.vocab - 1u)) * p.dim;
        const uint begin = uint(index[starts + u]), end = min(uint(index[starts + u + 1u]), rows);
        for (uint i = left + lid; i < right; i += WG)
            table[to + i] += run_sum(starts + 1u + rows, slice * rows * p.dim + i, begin, end);
    }
}
