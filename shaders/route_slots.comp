#version 450
// SPDX-License-Identifier: Apache-2.0
// route_slots: slot[row, r] = base[g, expert] + pos for a kept choice (expert ≥ 0, 0 ≤ pos < capacity), else −1;
// src[slot] = row·k + r, and −1 for every slot ≥ off[experts·slices].
//   expert, pos [rows, k] i32 · base [groups, experts] i32 · off [experts·slices + 1] i32
//   slot [rows, k] i32 · src [slots] i32
// Launch: one work-group does SY_CHUNK(WG) indices i of max(rows·k, slots): choice i and, when unused, slot i.
// A used slot is written by its choice alone, an unused one by its index alone. Integers: equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN(0, int, expert);
IN(1, int, pos);
IN(2, int, base);
IN(3, int, off);
OUT(4, int, slot);
OUT(5, int, src);
ARGS(sy_route_slots_args);

void main()
{
    const uint choices = p.rows * p.k, all = max(choices, p.slots);
    GROUP_GUARD(SY_PIECES(all, SY_CHUNK(WG)));
#include "route_slots.h"
}
