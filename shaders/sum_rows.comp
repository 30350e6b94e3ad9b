#version 450
// SPDX-License-Identifier: Apache-2.0
// sum_rows: y[s][j] = scale · Σ_p part[s][p][j], added to y[s][j] when p.accumulate.
//   part [slices, parts, n] f32 · y [slices, n] f32
// Launch: one work-group sums SY_SUM_COLS(WG) columns of a slice.
// Determinism: a fixed order given n, parts and WG: each item sums every so-many-th row, upwards, then the items are added.
#include "common.glsl"
#include "chunk.h"

IN(0, float, part);
INOUT(1, float, y);
ARGS(sy_sum_rows_args);
shared float sums[WG];

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
    const uint pieces = SY_PIECES(p.n, SY_SUM_COLS(WG));
    GROUP_GUARD(p.slices * pieces);
    const uint slice = GROUP_ID / pieces, first = GROUP_ID % pieces * SY_SUM_COLS(WG);
    const uint count = min(SY_SUM_COLS(WG), p.n - first), from = slice * p.parts * p.n + first;
    uint wide = SY_SUM_COLS(WG); // columns side by side: few enough that narrow sums have many rows at once
    while (wide / 2u >= count)
        wide /= 2u;
    const uint lid = LOCAL_ID, column = lid % wide;
    sums[lid] = column < count ? strided_sum(from + column, lid / wide, WG / wide) : 0.0;
    BARRIER();
    if (lid < count) {
        float sum = sums[lid];
        for (uint i = lid + wide; i < WG; i += wide)
            sum += sums[i];
        put(slice * p.n + first + lid, sum);
    }
}
