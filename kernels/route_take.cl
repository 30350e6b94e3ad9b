// SPDX-License-Identifier: Apache-2.0
// route_take: expert choice (spec §4): of each group every expert e takes the n = min(capacity, rows with mask ≠ 0)
// largest p[·, e], the lower row on ties: expert[row, e] = e, pos[row, e] = rank (0 best); −1, −1 for the others.
//   p [rows, experts] f32 · mask [rows] i32 · expert, pos [rows, experts] i32 · load = kept [groups, experts] i32 = n
// Launch: one work-group per group and expert. The n-th largest key is found bit by bit (31 counts over the group);
// only rows that reach it are ranked, each by counting the rows before it.
// Counts are f32 sums of ones, exact below 2^24 rows. Integers: equal everywhere for equal p.
#include "common.cl.h"

KERNEL void route_take(__global const float *restrict prob, __global const int *restrict mask,
                       __global int *restrict expert, __global int *restrict pos, __global int *restrict load,
                       __global int *restrict kept, const struct sy_route_take_args p)
{
    GROUP_GUARD(p.groups * p.experts);
    LOCAL_SCRATCH(scratch);
#include "route_take.h"
}
