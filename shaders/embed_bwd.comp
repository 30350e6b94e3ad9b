#version 450
// SPDX-License-Identifier: Apache-2.0
// embed_bwd: table[id] += Σ dx[row] over the rows with that id.
//   index [2 + 3·rows] i32 (U, the distinct ids, the start of each id's run, rows sorted by id: see op_args.h)
//   dx [rows, dim] t · table [vocab, dim] f32, accumulated
// Launch: one work-group does SY_COLS(WG) columns of SY_ROWS(WG) distinct ids; those beyond U do nothing.
// Determinism: the rows of an id are added in ascending order by one writer; bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN(0, int, index);
IN(1, T, dx);
INOUT(2, float, table);
ARGS(sy_embed_bwd_args);

float run_sum(uint column, uint begin, uint end)
{
    const uint list = 2u + 2u * p.rows; // row numbers sorted by id
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
    const uint lid = LOCAL_ID, tiles = SY_PIECES(p.dim, SY_COLS(WG));
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)) * tiles);
    const uint left = GROUP_ID % tiles * SY_COLS(WG), right = min(left + SY_COLS(WG), p.dim);
    const uint starts = 1u + p.rows; // where the run starts begin; the ids are before them
    const uint first = GROUP_ID / tiles * SY_ROWS(WG), last = min(first + SY_ROWS(WG), min(uint(index[0]), p.rows));
    for (uint u = first; u < last; ++u) {
        const uint to = min(uint(index[1u + u]), p.vocab - 1u) * p.dim;
        const uint begin = uint(index[starts + u]), end = min(uint(index[starts + u + 1u]), p.rows);
        for (uint i = left + lid; i < right; i += WG)
            table[to + i] += run_sum(i, begin, end);
    }
}
