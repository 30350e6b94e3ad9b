// SPDX-License-Identifier: Apache-2.0
#include "engine/legs.h"

#include <stdlib.h>
#include <string.h>

#include "engine/graph_private.h"
#include "engine/message.h"

/// A phase while it is being cut.
struct cut {
    const struct sy_graph *g;
    struct sy_legs *legs;
    uint32_t phase;
    uint32_t first, nodes; ///< The program that has not been added yet: where it begins, and how long it is.
    uint32_t *under_way;   ///< [slots]: the node of the message in each slot, or UINT32_MAX.
    uint32_t slots;
    bool failed;
};

static void add(struct cut *c, enum sy_leg_kind kind, uint32_t first, uint32_t end, uint32_t slot)
{
    struct sy_legs *p = c->legs;
    if (p->count == p->room) {
        const size_t room = p->room == 0 ? 16 : 2 * p->room;
        struct sy_leg *bigger = realloc(p->list, room * sizeof *bigger);
        c->failed |= bigger == NULL;
        if (bigger == NULL)
            return;
        p->list = bigger;
        p->room = room;
    }
    p->list[p->count++] = (struct sy_leg){.kind = kind, .phase = c->phase, .first = first, .end = end, .slot = slot};
}

/// Ends the program before node `end`.
static void end_program(struct cut *c, uint32_t end)
{
    if (c->nodes != 0)
        add(c, SY_LEG_PROGRAM, c->first, end, 0);
    c->first = end;
    c->nodes = 0;
}

/// A free slot.
static uint32_t take_slot(struct cut *c)
{
    uint32_t slot = 0;
    while (slot < c->slots && c->under_way[slot] != UINT32_MAX)
        ++slot;
    if (slot < c->slots)
        return slot;
    uint32_t *bigger = realloc(c->under_way, (c->slots + 1) * sizeof *bigger);
    c->failed |= bigger == NULL;
    if (bigger == NULL)
        return 0;
    c->under_way = bigger;
    c->under_way[c->slots] = UINT32_MAX;
    return c->slots++;
}

/// The arrivals that node `i` needs; all of them where it is the end of the nodes.
static void await(struct cut *c, uint32_t i)
{
    for (uint32_t slot = 0; slot < c->slots; ++slot) {
        const uint32_t message = c->under_way[slot];
        if (message == UINT32_MAX || (i < c->g->node_count && !sy_message_needed(c->g, message, i)))
            continue;
        end_program(c, i);
        add(c, SY_LEG_ARRIVAL, message, message + 1, slot);
        c->under_way[slot] = UINT32_MAX;
    }
}

/// Cuts one phase at its messages and arrivals.
static void cut(struct cut *c, uint32_t phase)
{
    const struct sy_graph *g = c->g;
    const size_t before = c->legs->count;
    const uint32_t end = (uint32_t)g->node_count;
    c->phase = phase;
    c->first = c->nodes = 0;
    for (uint32_t i = 0; i < end && !c->failed; ++i) {
        if (g->nodes[i].phase != phase)
            continue;
        await(c, i);
        if (!sy_op_is_message(g->nodes[i].op)) {
            ++c->nodes;
            continue;
        }
        const bool travels = sy_message_travels(g, i);
        const uint32_t slot = travels ? take_slot(c) : 0;
        end_program(c, i);
        add(c, SY_LEG_MESSAGE, i, i + 1, slot);
        if (travels && !c->failed)
            c->under_way[slot] = i;
        c->first = i + 1;
    }
    if (phase != SY_PHASE_UPDATE)
        await(c, end);
    if (c->nodes != 0 || c->legs->count == before)
        add(c, SY_LEG_PROGRAM, c->first, end, 0);
}

enum sy_status sy_legs_create(const struct sy_graph *g, struct sy_legs *out)
{
    memset(out, 0, sizeof *out);
    out->first = calloc((size_t)g->phase_count + 1, sizeof *out->first);
    struct cut c = {.g = g, .legs = out, .failed = out->first == NULL};
    for (uint32_t phase = 0; phase < g->phase_count && !c.failed; ++phase) {
        out->first[phase] = out->count;
        cut(&c, phase);
        out->first[phase + 1] = out->count;
    }
    out->slots = c.slots;
    free(c.under_way);
    if (!c.failed)
        return SY_OK;
    sy_legs_finish(out);
    return sy_fail(g->ctx, SY_NOMEM, "out of host memory: the legs of %u phases", g->phase_count);
}

void sy_legs_finish(struct sy_legs *p)
{
    free(p->list);
    free(p->first);
    memset(p, 0, sizeof *p);
}
