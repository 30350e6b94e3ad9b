// SPDX-License-Identifier: Apache-2.0
// route_slots: slot[row, r] = base[g, expert] + pos for a kept choice (expert ≥ 0, 0 ≤ pos < capacity), else −1;
// src[slot] = row·k + r, and −1 for every slot ≥ off[experts·slices].
//   expert, pos [rows, k] i32 · base [groups, experts] i32 · off [experts·slices + 1] i32
//   slot [rows, k] i32 · src [slots] i32
// Launch: one work-group does SY_CHUNK(WG) indices i of max(rows·k, slots): choice i and, when unused, slot i.
// A used slot is written by its choice alone, an unused one by its index alone. Integers: equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void route_slots(__global const int *restrict expert, __global const int *restrict pos,
                        __global const int *restrict base, __global const int *restrict off,
                        __global int *restrict slot, __global int *restrict src, const struct sy_route_slots_args p)
{
    const uint choices = p.rows * p.k, all = max(choices, p.slots);
    GROUP_GUARD(SY_PIECES(all, SY_CHUNK(WG)));
#include "route_slots.h"
}
