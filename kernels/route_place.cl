// SPDX-License-Identifier: Apache-2.0
// route_place: gives each choice its place in its expert's queue, in token order within a group (spec §4.5): the
// exclusive count of earlier rows that ask for the same expert, after the rows kept in earlier rounds.
//   kind 0 (switch, top2): k = rounds, every row asks in every round: expert = cand, pos ≥ capacity is dropped.
//   kind 1 (ntlb): k = 1, a row asks for cand[r] only while it has no place; expert −1, pos −1 when it never gets one.
//   cand [rows, rounds] i32 · expert, pos [rows, k] i32 · load [groups, experts] i32 (first choices before drops) ·
//   kept [groups, experts] i32 (rows with a place). Rows with cand[0] < 0 (padding) get −1 and are not counted.
// Launch, WG 1: one work-group walks a group's rows in order; kept and load serve as its counters.
// Launch, WG > 1: experts are done SY_ROUTE_TILE(WG) at a time. Kind 0: one work-group per group and tile. Kind 1: one
// per group, all tiles in turn. Item i owns the i-th run of neighbouring rows: it counts its rows per expert, the
// counts are summed over items, then it walks its rows again. What a row got is read back only by its own item.
// Integers: equal everywhere.
#include "common.cl.h"
#include "chunk.h"
#include "route.h"

#if WG == 1
KERNEL void route_place(__global const int *restrict cand, __global int *restrict expert, __global int *restrict pos,
                        __global int *restrict load, __global int *restrict kept, const struct sy_route_place_args p)
{
    GROUP_GUARD(p.groups);
    const uint g = GROUP_ID, first = g * p.group, end = first + min(p.group, p.rows - first);
    __global int *seen = load + g * p.experts, *next = kept + g * p.experts;
    for (uint e = 0u; e < p.experts; ++e)
        seen[e] = next[e] = 0;
    for (uint r = 0u; r < p.rounds; ++r) {
        for (uint row = first; row < end; ++row) {
            const int e = cand[row * p.rounds + r];
            const uint at = p.kind == 1u ? row : row * p.k + r;
            if (e < 0) {
                expert[at] = pos[at] = -1;
                continue;
            }
            if (r == 0u)
                seen[e] += 1;
            if (p.kind == 1u && r > 0u && expert[at] >= 0)
                continue;
            const int place = next[e]++;
            const bool none = p.kind == 1u && (uint)place >= p.capacity;
            expert[at] = none ? -1 : e;
            pos[at] = none ? -1 : place;
        }
        for (uint e = 0u; e < p.experts; ++e)
            next[e] = (int)min((uint)next[e], p.capacity);
    }
}
#else
#define TILE SY_ROUTE_TILE(WG)

// The expert that a row asks for in round r, or −1. Only the item that owns the row may ask.
static inline int asked(__global const int *cand, __global const int *expert, const struct sy_route_place_args p, uint row,
                 uint r)
{
    return p.kind == 1u && r > 0u && expert[row] >= 0 ? -1 : cand[row * p.rounds + r];
}

KERNEL void route_place(__global const int *restrict cand, __global int *expert, __global int *restrict pos,
                        __global int *restrict load, __global int *restrict kept, const struct sy_route_place_args p)
{
    const uint tiles = SY_PIECES(p.experts, TILE), here = p.kind == 1u ? 1u : tiles; // work-groups of one group
    GROUP_GUARD(p.groups * here);
    const uint lid = LOCAL_ID, g = GROUP_ID / here, tile0 = GROUP_ID % here, tile1 = p.kind == 1u ? tiles : tile0 + 1u;
    const uint first = g * p.group, rows = min(p.group, p.rows - first), run = SY_PIECES(rows, WG);
    const uint begin = first + min(lid * run, rows), end = first + min(lid * run + run, rows);
    __local uint counts[SY_ROUTE_CELLS]; // [expert of the tile][item]
    for (uint r = 0u; r < p.rounds; ++r) {
        for (uint tile = tile0; tile < tile1; ++tile) {
            const uint e0 = tile * TILE, experts = min(TILE, p.experts - e0);
            for (uint j = 0u; j < experts; ++j)
                counts[j * WG + lid] = 0u;
            for (uint row = begin; row < end; ++row) {
                const uint j = (uint)asked(cand, expert, p, row, r) - e0; // wraps far beyond `experts` for −1
                if (j < experts)
                    counts[j * WG + lid] += 1u;
            }
            BARRIER();
            for (uint j = lid; j < experts; j += WG) {
                const uint cell = g * p.experts + e0 + j, before = r > 0u ? (uint)kept[cell] : 0u;
                uint next = before;
                for (uint i = 0u; i < WG; ++i) {
                    const uint own = counts[j * WG + i];
                    counts[j * WG + i] = next;
                    next += own;
                }
                if (r == 0u)
                    load[cell] = (int)next;
                kept[cell] = (int)min(next, p.capacity);
            }
            BARRIER();
            for (uint row = begin; row < end; ++row) {
                const int e = asked(cand, expert, p, row, r);
                const uint j = (uint)e - e0, at = p.kind == 1u ? row : row * p.k + r;
                if (j < experts) {
                    const uint place = counts[j * WG + lid]++;
                    const bool none = p.kind == 1u && place >= p.capacity;
                    expert[at] = none ? -1 : e;
                    pos[at] = none ? -1 : (int)place;
                } else if (e < 0 && tile == 0u && (p.kind == 0u || r == 0u)) {
                    expert[at] = pos[at] = -1; // padding
                }
            }
            BARRIER();
        }
    }
}
#endif
