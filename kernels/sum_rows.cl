// SPDX-License-Identifier: Apache-2.0
// sum_rows: y[s][j] = scale · Σ_p part[s][p][j], added to y[s][j] when p.accumulate.
//   part [slices, parts, n] f32 · y [slices, n] f32
// Launch: one work-group sums SY_SUM_COLS(WG) columns of a slice.
// Determinism: a fixed order given n, parts and WG: each item sums every so-many-th row, upwards, then the items are added.
#include "common.cl.h"
#include "chunk.h"

static inline void put(__global float *y, float sum, const struct sy_sum_rows_args p)
{
    *y = p.accumulate != 0u ? *y + p.scale * sum : p.scale * sum;
}

#if WG == 1
#define BLOCK 8 // vectors of columns that are summed together: longer runs of each row

static inline float column_sum(__global const float *part, uint parts, uint n)
{
    float sum = 0.0f;
    for (uint q = 0u; q < parts; ++q)
        sum += part[q * n];
    return sum;
}

static inline VF vector_sum(__global const float *part, uint parts, uint n)
{
    VF sum = (VF)(0.0f);
    uint q = 0u;
    for (; q + SY_UNROLL <= parts; q += SY_UNROLL) {
        for (uint u = 0u; u < SY_UNROLL; ++u)
            sum += V_LOAD(0, part + (q + u) * n);
    }
    for (; q < parts; ++q)
        sum += V_LOAD(0, part + q * n);
    return sum;
}

static inline void block_sum(__global const float *part, uint parts, uint n, VF sum[BLOCK])
{
    for (uint v = 0u; v < BLOCK; ++v)
        sum[v] = (VF)(0.0f);
    for (uint q = 0u; q < parts; ++q) {
        for (uint v = 0u; v < BLOCK; ++v)
            sum[v] += V_LOAD(v, part + q * n);
    }
}

static inline void put_v(__global float *y, VF sum, const struct sy_sum_rows_args p)
{
    V_STORE(p.accumulate != 0u ? V_LOAD(0, y) + p.scale * sum : p.scale * sum, 0, y);
}

static inline void sum_columns(__global const float *part, __global float *y, uint count, const struct sy_sum_rows_args p)
{
    const uint blocks = count / (BLOCK * VEC) * (BLOCK * VEC), vectors = count / VEC * VEC;
    for (uint j = 0u; j < blocks; j += BLOCK * VEC) {
        VF sums[BLOCK];
        block_sum(part + j, p.parts, p.n, sums);
        for (uint v = 0u; v < BLOCK; ++v)
            put_v(y + j + v * VEC, sums[v], p);
    }
    for (uint j = blocks; j < vectors; j += VEC)
        put_v(y + j, vector_sum(part + j, p.parts, p.n), p);
    for (uint j = vectors; j < count; ++j)
        put(y + j, column_sum(part + j, p.parts, p.n), p);
}
#else
// Rows first, first + stride, …
static inline float strided_sum(__global const float *part, uint parts, uint n, uint first, uint stride)
{
    const uint step = SY_UNROLL * stride;
    float sum = 0.0f;
    uint q = first;
    for (; q < parts && parts - q >= step; q += step) {
        for (uint u = 0u; u < SY_UNROLL; ++u)
            sum += part[(q + u * stride) * n];
    }
    for (; q < parts; q += stride)
        sum += part[q * n];
    return sum;
}
#endif

KERNEL void sum_rows(__global const float *restrict parts, __global float *restrict out, const struct sy_sum_rows_args p)
{
    const uint pieces = SY_PIECES(p.n, SY_SUM_COLS(WG));
    GROUP_GUARD(p.slices * pieces);
    const uint slice = GROUP_ID / pieces, first = GROUP_ID % pieces * SY_SUM_COLS(WG);
    const uint count = min(SY_SUM_COLS(WG), p.n - first);
    __global const float *part = parts + (size_t)slice * p.parts * p.n + first;
    __global float *y = out + slice * p.n + first;
#if WG == 1
    sum_columns(part, y, count, p);
#else
    __local float sums[WG];
    uint wide = SY_SUM_COLS(WG); // columns side by side: few enough that narrow sums have many rows at once
    while (wide / 2u >= count)
        wide /= 2u;
    const uint lid = LOCAL_ID, column = lid % wide;
    sums[lid] = column < count ? strided_sum(part + column, p.parts, p.n, lid / wide, WG / wide) : 0.0f;
    BARRIER();
    if (lid < count) {
        float sum = sums[lid];
        for (uint i = lid + wide; i < WG; i += wide)
            sum += sums[i];
        put(y + lid, sum, p);
    }
#endif
}
