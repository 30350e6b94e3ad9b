// SPDX-License-Identifier: Apache-2.0
// embed_bwd: table[id] += Σ dx[row] over the rows with that id.
//   index [2 + 3·rows] i32 (U, the distinct ids, the start of each id's run, rows sorted by id: see op_args.h)
//   dx [rows, dim] t · table [vocab, dim] f32, accumulated
// Launch: one work-group does SY_COLS(WG) columns of SY_ROWS(WG) distinct ids; those beyond U do nothing.
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

KERNEL void embed_bwd(__global const int *restrict index, __global const T *restrict dx, __global float *restrict table,
                      const struct sy_embed_bwd_args p)
{
    const uint lid = LOCAL_ID, tiles = SY_PIECES(p.dim, SY_COLS(WG));
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)) * tiles);
    const uint left = GROUP_ID % tiles * SY_COLS(WG), right = min(left + SY_COLS(WG), p.dim);
    const uint vectors = left + (right - left) / VEC * VEC;
    const uint first = GROUP_ID / tiles * SY_ROWS(WG), last = min(first + SY_ROWS(WG), min((uint)index[0], p.rows));
    __global const int *ids = index + 1, *starts = ids + p.rows, *list = starts + p.rows + 1u;
    for (uint u = first; u < last; ++u) {
        __global float *to = table + min((uint)ids[u], p.vocab - 1u) * p.dim;
        const uint begin = (uint)starts[u], end = min((uint)starts[u + 1u], p.rows);
        for (uint i = left + lid * VEC; i < vectors; i += WG * VEC)
            V_STORE(V_LOAD(0, to + i) + run_sum_v(dx + i, list, begin, end, p.dim), 0, to + i);
        for (uint i = vectors + lid; i < right; i += WG)
            to[i] += run_sum(dx + i, list, begin, end, p.dim);
    }
}
