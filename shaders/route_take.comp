#version 450
// SPDX-License-Identifier: Apache-2.0
// route_take: expert choice (spec §4): of each group every expert e takes the n = min(capacity, rows with mask ≠ 0)
// largest p[·, e], the lower row on ties: expert[row, e] = e, pos[row, e] = rank (0 best); −1, −1 for the others.
//   p [rows, experts] f32 · mask [rows] i32 · expert, pos [rows, experts] i32 · load = kept [groups, experts] i32 = n
// Launch: one work-group per group and expert. The n-th largest key is found bit by bit (31 counts over the group);
// only rows that reach it are ranked, each by counting the rows before it.
// Counts are f32 sums of ones, exact below 2^24 rows. Integers: equal everywhere for equal p.
#include "common.glsl"

IN(0, float, prob);
IN(1, int, mask);
OUT(2, int, expert);
OUT(3, int, pos);
OUT(4, int, load);
OUT(5, int, kept);
ARGS(sy_route_take_args);
LOCAL_SCRATCH;

// Rises with p, which is never negative; 0 for padding.
uint key_of(uint row, uint e)
{
    return mask[row] != 0 ? floatBitsToUint(prob[row * p.experts + e]) + 1u : 0u;
}

void main()
{
    GROUP_GUARD(p.groups * p.experts);
    const uint lid = LOCAL_ID, g = GROUP_ID / p.experts, e = GROUP_ID % p.experts;
    const uint first = g * p.group, end = first + min(p.group, p.rows - first);
    float own = 0.0;
    for (uint row = first + lid; row < end; row += WG)
        own += mask[row] != 0 ? 1.0 : 0.0;
    GROUP_SUM(own, tokens);
    const uint take = min(p.capacity, uint(tokens));
    uint least = 0u; // the largest key that `take` rows reach
    for (uint bit = 0x40000000u; bit != 0u; bit /= 2u) {
        float reach = 0.0;
        for (uint row = first + lid; row < end; row += WG)
            reach += key_of(row, e) >= (least | bit) ? 1.0 : 0.0;
        GROUP_SUM(reach, all);
        if (uint(all) >= take)
            least |= bit;
    }
    for (uint row = first + lid; row < end; row += WG) {
        const uint key = key_of(row, e);
        uint rank = take;
        if (key >= least && take != 0u) {
            rank = 0u;
            for (uint other = first; other < end; ++other) {
                const uint theirs = key_of(other, e);
                rank += theirs > key || (theirs == key && other < row) ? 1u : 0u;
            }
        }
        expert[row * p.experts + e] = rank < take ? int(e) : -1;
        pos[row * p.experts + e] = rank < take ? int(rank) : -1;
    }
    if (lid == 0u) {
        load[g * p.experts + e] = int(take);
        kept[g * p.experts + e] = int(take);
    }
}
