// SPDX-License-Identifier: Apache-2.0
// route_offsets: where each expert's rows, and in them each group's, begin:
// base[g, e] = Σ kept of experts before e over all groups + Σ_{g' < g} kept[g', e]; off[e·slices + s] = base of the first
// group of slice s, off[experts·slices] = all rows.
//   kept [groups, experts] i32 · base [groups, experts] i32 · off [experts·slices + 1] i32
// Launch: one work-group does everything; an item owns a run of neighbouring experts. Integers: equal everywhere.
#include "common.cl.h"

KERNEL void route_offsets(__global const int *restrict kept, __global int *restrict base, __global int *restrict off,
                          const struct sy_route_offsets_args p)
{
    GROUP_GUARD(1u);
    const uint lid = LOCAL_ID, run = (p.experts + WG - 1u) / WG;
    const uint first = min(lid * run, p.experts), end = min(first + run, p.experts);
    const uint of_slice = p.groups / p.slices;
    int start = 0;
#if WG > 1
    __local int part[WG];
    int own = 0;
    for (uint e = first; e < end; ++e)
        for (uint g = 0u; g < p.groups; ++g)
            own += kept[g * p.experts + e];
    part[lid] = own;
    BARRIER();
    for (uint i = 0u; i < lid; ++i)
        start += part[i];
#endif
    for (uint e = first; e < end; ++e) {
        for (uint g = 0u; g < p.groups; ++g) {
            if (g % of_slice == 0u)
                off[e * p.slices + g / of_slice] = start;
            base[g * p.experts + e] = start;
            start += kept[g * p.experts + e];
        }
    }
    if (lid == WG - 1u)
        off[p.experts * p.slices] = start;
}
