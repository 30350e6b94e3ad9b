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

void main()
{
    GROUP_GUARD(p.groups * p.experts);
#include "route_take.h"
}
