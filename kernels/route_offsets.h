// SPDX-License-Identifier: Apache-2.0
// route_offsets.h: the body of route_offsets, in OpenCL C and GLSL alike.
const uint lid = LOCAL_ID, run = (p.experts + WG - 1u) / WG;
const uint first = min(lid * run, p.experts), end = min(first + run, p.experts);
const uint of_slice = p.groups / p.slices;
int start = 0;
#if !ALONE
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
