// SPDX-License-Identifier: Apache-2.0
// sum_rows: y[s][j] = scale · Σ_p part[s][p][j], added to y[s][j] when p.accumulate.
//   part [slices, parts, n] f32 · y [slices, n] f32
// Launch: n < SY_NARROW(WG): one work-group sums one column of a slice; else SY_COLS(WG) columns.
// Determinism: a fixed order given n, parts and WG; wide sums run over p in ascending order.
#include "common.cl.h"
#include "chunk.h"

#define BLOCK 8 // vectors of columns that a CPU sums together: longer runs of each row

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

static inline void put(__global float *y, float sum, const struct sy_sum_rows_args p)
{
    *y = p.accumulate != 0u ? *y + p.scale * sum : p.scale * sum;
}

KERNEL void sum_rows(__global const float *restrict parts, __global float *restrict out, const struct sy_sum_rows_args p)
{
    const bool narrow = p.n < SY_NARROW(WG);
    const uint lid = LOCAL_ID, pieces = narrow ? p.n : SY_PIECES(p.n, SY_COLS(WG));
    GROUP_GUARD(p.slices * pieces);
    const uint slice = GROUP_ID / pieces, piece = GROUP_ID % pieces;
    __global const float *part = parts + (size_t)slice * p.parts * p.n;
    __global float *y = out + slice * p.n;
    LOCAL_SCRATCH(scratch);

    float sum = 0.0f;
    if (narrow)
        sum = strided_sum(part + piece, p.parts, p.n, lid, WG);
    GROUP_SUM(scratch, sum, total); // outside the branch: barriers stay at the top level
    if (narrow && lid == 0u)
        put(y + piece, total, p);

    const uint first = narrow ? 0u : piece * SY_COLS(WG), count = narrow ? 0u : min(SY_COLS(WG), p.n - first);
    const uint blocks = WG == 1 ? count / (BLOCK * VEC) * (BLOCK * VEC) : 0u, vectors = count / VEC * VEC;
    for (uint j = 0u; j < blocks; j += BLOCK * VEC) {
        VF sums[BLOCK];
        block_sum(part + first + j, p.parts, p.n, sums);
        for (uint v = 0u; v < BLOCK; ++v)
            put_v(y + first + j + v * VEC, sums[v], p);
    }
    for (uint j = blocks + lid * VEC; j < vectors; j += WG * VEC)
        put_v(y + first + j, vector_sum(part + first + j, p.parts, p.n), p);
    for (uint j = vectors + lid; j < count; j += WG)
        put(y + first + j, strided_sum(part + first + j, p.parts, p.n, 0u, 1u), p);
}
