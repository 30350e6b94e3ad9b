#version 450
// SPDX-License-Identifier: Apache-2.0
// route_stats: what a log line says of a Switch layer, for each slice: each expert's load, then the rows that are no
// padding, those of them that no expert processed, the sum of the gates and how many are not 0.
//   load [groups, experts] i32 · slot [rows, k] i32 · gate [rows, k] f32 · mask [rows] i32
//   stats [slices, experts + 4] f32
// Launch: one work-group does one slice. Determinism: one writer; the order of the gates' sum depends on the slice's rows,
//   k and WG.
#include "common.glsl"

IN(0, int, load);
IN(1, int, slot);
IN(2, float, gate);
IN(3, int, mask);
OUT(4, float, stats);
ARGS(sy_route_stats_args);
LOCAL_SCRATCH;

void main()
{
    GROUP_GUARD(p.slices);
#include "route_stats.h"
}
