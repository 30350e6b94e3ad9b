#version 450
// SPDX-License-Identifier: Apache-2.0
// route_offsets: where each expert's rows, and in them each group's, begin:
// off[e] = Σ kept of experts before e over all groups; base[g, e] = off[e] + Σ_{g' < g} kept[g', e].
//   kept [groups, experts] i32 · base [groups, experts] i32 · off [experts + 1] i32
// Launch: one work-group does everything; an item owns a run of neighbouring experts. Integers: equal everywhere.
#include "common.glsl"

IN(0, int, kept);
OUT(1, int, base);
OUT(2, int, off);
ARGS(sy_route_offsets_args);
shared int part[WG];

void main()
{
    GROUP_GUARD(1u);
    const uint lid = LOCAL_ID, run = (p.experts + WG - 1u) / WG;
    const uint first = min(lid * run, p.experts), end = min(first + run, p.experts);
    int own = 0;
    for (uint e = first; e < end; ++e)
        for (uint g = 0u; g < p.groups; ++g)
            own += kept[g * p.experts + e];
    part[lid] = own;
    barrier();
    int start = 0;
    for (uint i = 0u; i < lid; ++i)
        start += part[i];
    for (uint e = first; e < end; ++e) {
        off[e] = start;
        for (uint g = 0u; g < p.groups; ++g) {
            base[g * p.experts + e] = start;
            start += kept[g * p.experts + e];
        }
    }
    if (lid == WG - 1u)
        off[p.experts] = start;
}
