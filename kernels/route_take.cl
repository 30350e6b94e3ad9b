// SPDX-License-Identifier: Apache-2.0
// route_take: expert choice (spec §4): of each group every expert e takes the n = min(capacity, rows with mask ≠ 0)
// largest p[·, e], the lower row on ties: expert[row, e] = e, pos[row, e] = rank (0 best); −1, −1 for the others.
//   p [rows, experts] f32 · mask [rows] i32 · expert, pos [rows, experts] i32 · load = kept [groups, experts] i32 = n
// Launch: one work-group per group and expert. The n-th largest key is found bit by bit (31 counts over the group);
// only rows that reach it are ranked, each by counting the rows before it.
// Counts are f32 sums of ones, exact below 2^24 rows. Integers: equal everywhere for equal p.
#include "common.cl.h"

// Rises with p, which is never negative; 0 for padding.
static inline uint key_of(__global const float *prob, __global const int *mask, uint experts, uint row, uint e)
{
    return mask[row] != 0 ? as_uint(prob[row * experts + e]) + 1u : 0u;
}

KERNEL void route_take(__global const float *restrict prob, __global const int *restrict mask,
                       __global int *restrict expert, __global int *restrict pos, __global int *restrict load,
                       __global int *restrict kept, const struct sy_route_take_args p)
{
    GROUP_GUARD(p.groups * p.experts);
    const uint lid = LOCAL_ID, g = GROUP_ID / p.experts, e = GROUP_ID % p.experts;
    const uint first = g * p.group, end = first + min(p.group, p.rows - first);
    LOCAL_SCRATCH(scratch);
    float own = 0.0f;
    for (uint row = first + lid; row < end; row += WG)
        own += mask[row] != 0 ? 1.0f : 0.0f;
    GROUP_SUM(scratch, own, tokens);
    const uint take = min(p.capacity, (uint)tokens);
    uint least = 0u; // the largest key that `take` rows reach
    for (uint bit = 0x40000000u; bit != 0u; bit /= 2u) {
        float reach = 0.0f;
        for (uint row = first + lid; row < end; row += WG)
            reach += key_of(prob, mask, p.experts, row, e) >= (least | bit) ? 1.0f : 0.0f;
        GROUP_SUM(scratch, reach, all);
        if ((uint)all >= take)
            least |= bit;
    }
    for (uint row = first + lid; row < end; row += WG) {
        const uint key = key_of(prob, mask, p.experts, row, e);
        uint rank = take;
        if (key >= least && take != 0u) {
            rank = 0u;
            for (uint other = first; other < end; ++other) {
                const uint theirs = key_of(prob, mask, p.experts, other, e);
                rank += theirs > key || (theirs == key && other < row) ? 1u : 0u;
            }
        }
        expert[row * p.experts + e] = rank < take ? (int)e : -1;
        pos[row * p.experts + e] = rank < take ? (int)rank : -1;
    }
    if (lid == 0u)
        load[g * p.experts + e] = kept[g * p.experts + e] = (int)take;
}
