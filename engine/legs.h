// SPDX-License-Identifier: Apache-2.0
// legs.h: a phase of the graph as device programs and messages in turns. With one rank a phase is one program.
// Ownership: malloc'ed, the caller's.   Layer: engine.
#pragma once

#include "engine/graph.h"

struct sy_leg {
    uint32_t phase;
    uint32_t first, end; ///< Nodes; those of other phases in between are not meant.
    bool message;        ///< Node `first`, alone.
};

struct sy_legs {
    struct sy_leg *list;
    size_t count, room;
    size_t *first; ///< [phases + 1]: where those of a phase begin. A phase has at least one.
};

/// Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_legs_create(const struct sy_graph *g, struct sy_legs *out);
void sy_legs_finish(struct sy_legs *p);
