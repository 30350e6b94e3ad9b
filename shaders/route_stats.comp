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
    const uint lid = LOCAL_ID, slice = GROUP_ID, rows = p.rows / p.slices, groups = p.groups / p.slices;
    const uint to = slice * (p.experts + 4u);
    for (uint e = lid; e < p.experts; e += WG) {
        int sum = 0;
        for (uint g = slice * groups; g < (slice + 1u) * groups; ++g)
            sum += load[g * p.experts + e];
        stats[to + e] = float(sum);
    }
    uint real = 0u, lost = 0u, counted = 0u;
    float gates = 0.0;
    for (uint row = slice * rows + lid; row < (slice + 1u) * rows; row += WG) {
        bool placed = false;
        for (uint i = row * p.k; i < (row + 1u) * p.k; ++i) {
            const float value = (i - row * p.k) % p.gate_step == 0u ? gate[i] : 0.0;
            placed = placed || slot[i] >= 0;
            gates += value;
            counted += value != 0.0 ? 1u : 0u;
        }
        real += mask[row] != 0 ? 1u : 0u;
        lost += mask[row] != 0 && !placed ? 1u : 0u;
    }
    GROUP_SUM(float(real), all_real);
    GROUP_SUM(float(lost), all_lost);
    GROUP_SUM(gates, all_gates);
    GROUP_SUM(float(counted), all_counted);
    if (lid == 0u) {
        stats[to + p.experts] = all_real;
        stats[to + p.experts + 1u] = all_lost;
        stats[to + p.experts + 2u] = all_gates;
        stats[to + p.experts + 3u] = all_counted;
    }
}
