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
#if !ALONE
    __local uint part[WG];
#endif
#include "route_tiles.h"
}
