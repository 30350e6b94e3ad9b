// SPDX-License-Identifier: Apache-2.0
// clip: norm = sqrt(sum of sums); gs = (max_norm / norm if norm > max_norm > 0 else 1, norm).
//   sums [n] f → gs [2] f
// Launch: one work-group. The sum is the tree ((0+1)+(2+3))+… over all n, which depends on n alone: each of SY_TREE_SLOTS
// slots adds up a run of a power of two by itself, with one partial sum for each level of its tree.
#version 450
#include "common.glsl"
#include "matrices.h"

IN(0, float, sums);
OUT(1, float, gs);
ARGS(sy_clip_args);
shared float slots[SY_TREE_SLOTS];

// The tree over sums[first … first + run), zeros from p.n on; run is a power of two.
float tree(uint first, uint run)
{
    float level[SY_TREE_LEVELS], x = 0.0;
    [[unroll]] for (uint k = 0u; k < SY_TREE_LEVELS; ++k)
        level[k] = 0.0;
    for (uint i = 0u; i < run; ++i) {
        bool carries = true;
        x = first + i < p.n ? sums[first + i] : 0.0;
        [[unroll]] for (uint k = 0u; k < SY_TREE_LEVELS; ++k) { // every index a constant, so that levels are registers
            const bool full = (i >> k & 1u) != 0u;
            x = carries && full ? level[k] + x : x;
            level[k] = carries && !full ? x : level[k];
            carries = carries && full;
        }
    }
    return x;
}

void main()
{
    GROUP_GUARD(1u);
    const uint lid = LOCAL_ID;
    uint run = 1u;
    while (run * SY_TREE_SLOTS < p.n)
        run *= 2u;
    for (uint slot = lid; slot < SY_TREE_SLOTS; slot += WG)
        slots[slot] = tree(slot * run, run);
    barrier();
    for (uint step = 1u; step < SY_TREE_SLOTS; step *= 2u) {
        for (uint i = lid * 2u * step; i < SY_TREE_SLOTS; i += WG * 2u * step)
            slots[i] += slots[i + step];
        barrier();
    }
    if (lid == 0u) {
        const float norm = sqrt(slots[0]);
        gs[0] = p.max_norm > 0.0 && norm > p.max_norm ? p.max_norm / norm : 1.0;
        gs[1] = norm;
    }
}
