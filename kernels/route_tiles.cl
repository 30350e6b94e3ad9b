// SPDX-License-Identifier: Apache-2.0
// route_tiles: cuts every expert's rows off[e·slices] … off[(e+1)·slices]−1 into ceil(n_e / tile_rows) tiles, experts in order:
// tiles[4t …] = expert, first row, end row, 0; −1, 0, 0, 0 beyond the last.
//   off [experts·slices + 1] i32 · tiles [tiles, 4] i32
// Launch: one work-group does everything; an item owns a run of neighbouring experts. Integers: equal everywhere.
#include "common.cl.h"

KERNEL void route_tiles(__global const int *restrict off, __global int *restrict tiles,
                        const struct sy_route_tiles_args p)
{
    GROUP_GUARD(1u);
    const uint lid = LOCAL_ID, run = (p.experts + WG - 1u) / WG;
    const uint first = min(lid * run, p.experts), end = min(first + run, p.experts);
    uint t = 0u;
#if WG > 1
    __local uint part[WG];
    uint own = 0u;
    for (uint e = first; e < end; ++e)
        own += ((uint)(off[(e + 1u) * p.slices] - off[e * p.slices]) + p.tile_rows - 1u) / p.tile_rows;
    part[lid] = own;
    BARRIER();
    uint total = 0u;
    for (uint i = 0u; i < WG; ++i) {
        t += i < lid ? part[i] : 0u;
        total += part[i];
    }
#endif
    for (uint e = first; e < end; ++e) {
        const uint stop = (uint)off[(e + 1u) * p.slices];
        for (uint row = (uint)off[e * p.slices]; row < stop; row += p.tile_rows, ++t)
            vstore4((int4)((int)e, (int)row, (int)min(row + p.tile_rows, stop), 0), t, tiles);
    }
#if WG == 1
    const uint total = t;
#endif
    for (uint i = total + lid; i < p.tiles; i += WG)
        vstore4((int4)(-1, 0, 0, 0), i, tiles);
}
