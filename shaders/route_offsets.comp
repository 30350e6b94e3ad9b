#version 450
// SPDX-License-Identifier: Apache-2.0
// route_offsets: where each expert's rows, and in them each group's, begin:
// base[g, e] = Σ kept of experts before e over all groups + Σ_{g' < g} kept[g', e]; off[e·slices + s] = base of the first
// group of slice s, off[experts·slices] = all rows.
//   kept [groups, experts] i32 · base [groups, experts] i32 · off [experts·slices + 1] i32
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
#include "route_offsets.h"
}
