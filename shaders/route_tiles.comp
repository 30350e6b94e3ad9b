#version 450
// SPDX-License-Identifier: Apache-2.0
// route_tiles: cuts every expert's rows off[e·slices] … off[(e+1)·slices]−1 into ceil(n_e / tile_rows) tiles, experts in order:
// tiles[4t …] = expert, first row, end row, 0; −1, 0, 0, 0 beyond the last.
//   off [experts·slices + 1] i32 · tiles [tiles, 4] i32
// Launch: one work-group does everything; an item owns a run of neighbouring experts. Integers: equal everywhere.
#include "common.glsl"

IN(0, int, off);
OUT(1, int, tiles);
ARGS(sy_route_tiles_args);
shared uint part[WG];

void main()
{
    GROUP_GUARD(1u);
#include "route_tiles.h"
}
