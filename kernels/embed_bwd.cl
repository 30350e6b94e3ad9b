// SPDX-License-Identifier: Apache-2.0
// embed_bwd: table[s][id] += Σ dx[row] over the rows of slice s with that id.
//   index [slices, 2 + 3·rows/slices] i32 (U, the distinct ids, the start of each id's run, rows sorted by id: see op_args.h)
//   dx [rows, dim] t · table [slices, vocab, dim] f32, accumulated; a part of a table takes no other ids
// Launch: one work-group does SY_COLS(WG) columns of SY_ROWS(WG) distinct ids of a slice; those beyond U do nothing.
// Determinism: the rows of an id are added in ascending order by one writer; bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

static inline VF run_sum_v(__global const T *dx, __global const int *list, uint from, uint to, uint dim)
{
    VF sum = (VF)(0.0f);
    uint i = from;
    for (; i + SY_UNROLL <= to; i += SY_UNROLL) {
        for (uint u = 0u; u < SY_UNROLL; ++u)
            sum += T_LDV(dx, (uint)list[i + u] * dim);
    }
    for (; i < to; ++i)
        sum += T_LDV(dx, (uint)list[i] * dim);
    return sum;
}

static inline float run_sum(__global const T *dx, __global const int *list, uint from, uint to, uint dim)
{
    float sum = 0.0f;
    uint i = from;
    for (; i + SY_UNROLL <= to; i += SY_UNROLL) {
        for (uint u = 0u; u < SY_UNROLL; ++u)
            sum += T_LD(dx, (uint)list[i + u] * dim);
    }
    for (; i < to; ++i)
        sum += T_LD(dx, (uint)list[i] * dim);
    return sum;
}

KERNEL void embed_bwd(__global const int *restrict indices, __global const T *restrict dxs,
                      __global float *restrict tables, const struct sy_embed_bwd_args p)
{
    const uint lid = LOCAL_ID, tiles = SY_PIECES(p.dim, SY_COLS(WG)), rows = p.rows / p.slices;
    const uint pieces = SY_PIECES(rows, SY_ROWS(WG));
    GROUP_GUARD(p.slices * pieces * tiles);
    const uint slice = GROUP_ID / tiles / pieces;
    __global const int *index = indices + slice * (2u + 3u * rows);
    __global const T *dx = dxs + (size_t)slice * rows * p.dim;
    __global float *table = tables + (size_t)slice * p.vocab * p.dim;
    const uint left = GROUP_ID % tiles * SY_COLS(WG), right = min(left + SY_COLS(WG), p.dim);
    const uint vectors = left + (right - left) / VEC * VEC;
    const uint first = GROUP_ID / tiles % pieces * SY_ROWS(WG);
    const uint last = min(first + SY_ROWS(WG), min((uint)index[0], rows));
    __global const int *ids = index + 1, *starts = ids + rows, *list = starts + rows + 1u;
    for (uint u = first; u < last; ++u) {
        const uint id = (uint)ids[u] - p.first;
        if (p.part != 0u && id >= p.vocab)
            continue;
        __global float *to = table + min(id, p.vocab - 1u) * p.dim;
        const uint begin = (uint)starts[u], end = min((uint)starts[u + 1u], rows);
        for (uint i = left + lid * VEC; i < vectors; i += WG * VEC)
            V_STORE(V_LOAD(0, to + i) + run_sum_v(dx + i, list, begin, end, p.dim), 0, to + i);
        SCALARS for (uint i = vectors + lid; i < right; i += WG)
            to[i] += run_sum(dx + i, list, begin, end, p.dim);
    }
}
