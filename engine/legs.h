// SPDX-License-Identifier: Apache-2.0
// legs.h: a phase of the graph as device programs and messages. With one rank a phase is one program.
//
// A message that travels (message.h) starts where its node stands, and has its arrival before the first node that
// touches what it brings, at the phase's end at the latest: the programs in between run while it is under way. What
// the update has sent has its arrivals in the refresh, which follows it.
// Ownership: malloc'ed, the caller's.   Layer: engine.
#pragma once

#include "engine/graph.h"

enum sy_leg_kind { SY_LEG_PROGRAM, SY_LEG_MESSAGE, SY_LEG_ARRIVAL };

struct sy_leg {
    enum sy_leg_kind kind;
    uint32_t phase;
    uint32_t first, end; ///< Nodes; those of other phases in between are not meant. MESSAGE, ARRIVAL: `first`, alone.
    uint32_t slot;       ///< MESSAGE, ARRIVAL of one that travels: no other one under way has this number.
};

struct sy_legs {
    struct sy_leg *list;
    size_t count, room;
    size_t *first;  ///< [phases + 1]: where those of a phase begin. A phase has at least one.
    uint32_t slots; ///< As many messages are under way at once at most.
};

/// Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_legs_create(const struct sy_graph *g, struct sy_legs *out);
void sy_legs_finish(struct sy_legs *p);
