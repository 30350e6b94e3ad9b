#version 450
// SPDX-License-Identifier: Apache-2.0
// tree_sum: y[o][i] = tree over s of x[o][s][i], ((0+1)+(2+3))+…, added to y[o][i] when p.accumulate (spec §11).
//   x [outer, slices, n] f32, slices 1, 2, 4 or 8 · y [outer, n] f32
// Launch: one work-group does SY_CHUNK(WG) elements of one sum.
// Determinism: the tree is fixed; bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN4(0, float, x);
INOUT4(1, float, y);
ARGS(sy_tree_sum_args);

float pair(uint at, uint s) { return x[at + s * p.n] + x[at + (s + 1u) * p.n]; }

float tree(uint at)
{
    if (p.slices == 1u)
        return x[at];
    float sum = pair(at, 0u);
    if (p.slices >= 4u)
        sum += pair(at, 2u);
    if (p.slices == 8u)
        sum += pair(at, 4u) + pair(at, 6u);
    return sum;
}

// The same for four elements at once; n is a multiple of 4.
vec4 pair4(uint at, uint s) { return x4[at + s * (p.n / 4u)] + x4[at + (s + 1u) * (p.n / 4u)]; }

vec4 tree4(uint at)
{
    if (p.slices == 1u)
        return x4[at];
    vec4 sum = pair4(at, 0u);
    if (p.slices >= 4u)
        sum += pair4(at, 2u);
    if (p.slices == 8u)
        sum += pair4(at, 4u) + pair4(at, 6u);
    return sum;
}

void main()
{
    const uint pieces = SY_PIECES(p.n, SY_CHUNK(WG));
    GROUP_GUARD(p.outer * pieces);
    const uint lid = LOCAL_ID, o = GROUP_ID / pieces, first = GROUP_ID % pieces * SY_CHUNK(WG);
    const uint count = min(SY_CHUNK(WG), p.n - first), from = o * p.slices * p.n + first, to = o * p.n + first;
    if (p.n % 4u == 0u) {
        for (uint i = lid; i < count / 4u; i += WG) {
            const vec4 sum = tree4(from / 4u + i);
            y4[to / 4u + i] = p.accumulate != 0u ? y4[to / 4u + i] + sum : sum;
        }
        return;
    }
    for (uint i = lid; i < count; i += WG)
        y[to + i] = p.accumulate != 0u ? y[to + i] + tree(from + i) : tree(from + i);
}
