#version 450
// SPDX-License-Identifier: Apache-2.0
// sum_rows: y[s][j] = scale · Σ_p part[s][p][j], added to y[s][j] when p.accumulate.
//   part [slices, parts, n] f32 · y [slices, n] f32
// Launch: n < SY_NARROW(WG): one work-group sums one column of a slice; else SY_COLS(WG) columns.
// Determinism: a fixed order given n, parts and WG; wide sums run over p in ascending order.
#include "common.glsl"
#include "chunk.h"

IN(0, float, part);
INOUT(1, float, y);
ARGS(sy_sum_rows_args);
LOCAL_SCRATCH;

// `column` counts from the slice's first element.
float strided_sum(uint column, uint first, uint stride)
{
    const uint step = SY_UNROLL * stride;
    float sum = 0.0;
    uint q = first;
    for (; q < p.parts && p.parts - q >= step; q += step) {
        [[unroll]] for (uint u = 0u; u < SY_UNROLL; ++u)
            sum += part[(q + u * stride) * p.n + column];
    }
    for (; q < p.parts; q += stride)
        sum += part[q * p.n + column];
    return sum;
}

void put(uint j, float sum) { y[j] = p.accumulate != 0u ? y[j] + p.scale * sum : p.scale * sum; }

void main()
{
    const bool narrow = p.n < SY_NARROW(WG);
    const uint lid = LOCAL_ID, pieces = narrow ? p.n : SY_PIECES(p.n, SY_COLS(WG));
    GROUP_GUARD(p.slices * pieces);
    const uint slice = GROUP_ID / pieces, piece = GROUP_ID % pieces, from = slice * p.parts * p.n, to = slice * p.n;

    float sum = 0.0;
    if (narrow)
        sum = strided_sum(from + piece, lid, WG);
    GROUP_SUM(sum, total); // outside the branch: barriers stay at the top level
    if (narrow && lid == 0u)
        put(to + piece, total);

    const uint first = narrow ? 0u : piece * SY_COLS(WG), count = narrow ? 0u : min(SY_COLS(WG), p.n - first);
    for (uint j = first + lid; j < first + count; j += WG)
        put(to + j, strided_sum(from + j, 0u, 1u));
}
