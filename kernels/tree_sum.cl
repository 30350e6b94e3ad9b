// SPDX-License-Identifier: Apache-2.0
// tree_sum: y[o][i] = tree over s of x[o][s][i], ((0+1)+(2+3))+…, added to y[o][i] when p.accumulate (spec §11).
//   x [outer, slices, n] f32, slices 1, 2, 4 or 8 · y [outer, n] f32
// Launch: one work-group does SY_CHUNK(WG) elements of one sum.
// Determinism: the tree is fixed; bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

static inline VF pair_v(__global const float *x, uint n, uint s) { return V_LOAD(0, x + s * n) + V_LOAD(0, x + (s + 1u) * n); }
static inline float pair(__global const float *x, uint n, uint s) { return x[s * n] + x[(s + 1u) * n]; }

static inline VF tree_v(__global const float *x, const struct sy_tree_sum_args p)
{
    if (p.slices == 1u)
        return V_LOAD(0, x);
    VF sum = pair_v(x, p.n, 0u);
    if (p.slices >= 4u)
        sum += pair_v(x, p.n, 2u);
    if (p.slices == 8u)
        sum += pair_v(x, p.n, 4u) + pair_v(x, p.n, 6u);
    return sum;
}

static inline float tree(__global const float *x, const struct sy_tree_sum_args p)
{
    if (p.slices == 1u)
        return x[0];
    float sum = pair(x, p.n, 0u);
    if (p.slices >= 4u)
        sum += pair(x, p.n, 2u);
    if (p.slices == 8u)
        sum += pair(x, p.n, 4u) + pair(x, p.n, 6u);
    return sum;
}

KERNEL void tree_sum(__global const float *restrict x, __global float *restrict y, const struct sy_tree_sum_args p)
{
    const uint pieces = SY_PIECES(p.n, SY_CHUNK(WG));
    GROUP_GUARD(p.outer * pieces);
    const uint lid = LOCAL_ID, o = GROUP_ID / pieces, first = GROUP_ID % pieces * SY_CHUNK(WG);
    const uint count = min(SY_CHUNK(WG), p.n - first), vectors = count / VEC * VEC;
    __global const float *from = x + (size_t)o * p.slices * p.n + first;
    __global float *to = y + (size_t)o * p.n + first;
    for (uint i = lid * VEC; i < vectors; i += WG * VEC) {
        const VF sum = tree_v(from + i, p);
        V_STORE(p.accumulate != 0u ? V_LOAD(0, to + i) + sum : sum, 0, to + i);
    }
    for (uint i = vectors + lid; i < count; i += WG)
        to[i] = p.accumulate != 0u ? to[i] + tree(from + i, p) : tree(from + i, p);
}
