#version 450
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
#include "common.glsl"
#include "chunk.h"
#include "route.h"

IN(0, int, cand);
INOUT(1, int, expert);
OUT(2, int, pos);
OUT(3, int, load);
INOUT(4, int, kept);
ARGS(sy_route_place_args);
shared uint counts[SY_ROUTE_CELLS]; // [expert of the tile][item]

const uint TILE = SY_ROUTE_TILE(WG);

// The expert that a row asks for in round r, or −1. Only the item that owns the row may ask.
int asked(uint row, uint r)
{
    if (p.kind == 1u && r > 0u && expert[row] >= 0)
        return -1;
    return cand[row * p.rounds + r];
}

void main()
{
    const bool together = p.kind == 1u || WG == 1u;
    const uint tiles = SY_PIECES(p.experts, TILE), here = together ? 1u : tiles; // work-groups of one group
    GROUP_GUARD(p.groups * here);
    const uint lid = LOCAL_ID, g = GROUP_ID / here, tile0 = GROUP_ID % here, tile1 = together ? tiles : tile0 + 1u;
    const uint first = g * p.group, rows = min(p.group, p.rows - first), run = SY_PIECES(rows, WG);
    const uint begin = first + min(lid * run, rows), end = first + min(lid * run + run, rows);
    for (uint r = 0u; r < p.rounds; ++r) {
        for (uint tile = tile0; tile < tile1; ++tile) {
            const uint e0 = tile * TILE, experts = min(TILE, p.experts - e0);
            for (uint j = 0u; j < experts; ++j)
                counts[j * WG + lid] = 0u;
            for (uint row = begin; row < end; ++row) {
                const uint j = uint(asked(row, r)) - e0; // wraps far beyond `experts` for −1
                if (j < experts)
                    counts[j * WG + lid] += 1u;
            }
            barrier();
            for (uint j = lid; j < experts; j += WG) {
                const uint cell = g * p.experts + e0 + j;
                uint next = 0u;
                if (r > 0u)
                    next = uint(kept[cell]);
                for (uint i = 0u; i < WG; ++i) {
                    const uint own = counts[j * WG + i];
                    counts[j * WG + i] = next;
                    next += own;
                }
                if (r == 0u)
                    load[cell] = int(next);
                kept[cell] = int(min(next, p.capacity));
            }
            barrier();
            for (uint row = begin; row < end; ++row) {
                const int e = asked(row, r);
                const uint j = uint(e) - e0, at = p.kind == 1u ? row : row * p.k + r;
                if (j < experts) {
                    const uint place = counts[j * WG + lid];
                    counts[j * WG + lid] = place + 1u;
                    const bool none = p.kind == 1u && place >= p.capacity;
                    expert[at] = none ? -1 : e;
                    pos[at] = none ? -1 : int(place);
                } else if (e < 0 && tile == 0u && (p.kind == 0u || r == 0u)) {
                    expert[at] = -1; // padding
                    pos[at] = -1;
                }
            }
            barrier();
        }
    }
}
