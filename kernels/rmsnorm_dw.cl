// SPDX-License-Identifier: Apache-2.0
// rmsnorm_dw: part[q][d] = Σ dy[row][d] · x[row][d] · rstd[row] over row block q of a slice; sum_rows finishes w.
//   dy, x [rows, dim] t · rstd [rows] f32 · part [slices, parts, dim] f32 (empty blocks get 0)
// Launch: one work-group does SY_COLS(WG) columns of one row block.
// Determinism: rows are added in ascending order; bit-equal wherever fma is.
#include "common.cl.h"
#include "chunk.h"

#if WG == 1
#define BLOCK 8 // vectors of columns summed together: longer runs of each row
#else
#define BLOCK 1
#endif

KERNEL void rmsnorm_dw(__global const T *restrict dy, __global const T *restrict x, __global const float *restrict rstd,
                       __global float *restrict part, const struct sy_rmsnorm_dw_args p)
{
    const uint lid = LOCAL_ID, tiles = SY_PIECES(p.dim, SY_COLS(WG));
    GROUP_GUARD(p.slices * p.parts * tiles);
    const uint q = GROUP_ID / tiles, left = GROUP_ID % tiles * SY_COLS(WG), count = min(SY_COLS(WG), p.dim - left);
    const uint length = p.rows / p.slices, end = (q / p.parts + 1u) * length, size = SY_PIECES(length, p.parts);
    const uint first = min(end - length + q % p.parts * size, end), last = min(first + size, end);
    const uint blocks = count / (BLOCK * VEC) * (BLOCK * VEC), vectors = count / VEC * VEC;
    __global float *to = part + q * p.dim + left;
    for (uint j = lid * BLOCK * VEC; j < blocks; j += WG * BLOCK * VEC) {
        VF sums[BLOCK];
        for (uint v = 0u; v < BLOCK; ++v)
            sums[v] = (VF)(0.0f);
        for (uint row = first; row < last; ++row) {
            const uint at = row * p.dim + left + j;
            for (uint v = 0u; v < BLOCK; ++v)
                sums[v] = fma(T_LDV(dy, at + v * VEC) * rstd[row], T_LDV(x, at + v * VEC), sums[v]);
        }
        for (uint v = 0u; v < BLOCK; ++v)
            V_STORE(sums[v], v, to + j);
    }
    for (uint j = blocks + lid * VEC; j < vectors; j += WG * VEC) {
        VF sum = (VF)(0.0f);
        for (uint row = first; row < last; ++row) {
            const uint at = row * p.dim + left + j;
            sum = fma(T_LDV(dy, at) * rstd[row], T_LDV(x, at), sum);
        }
        V_STORE(sum, 0, to + j);
    }
    SCALARS for (uint j = vectors + lid; j < count; j += WG) {
        float sum = 0.0f;
        for (uint row = first; row < last; ++row) {
            const uint at = row * p.dim + left + j;
            sum = fma(T_LD(dy, at) * rstd[row], T_LD(x, at), sum);
        }
        to[j] = sum;
    }
}
