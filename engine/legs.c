// SPDX-License-Identifier: Apache-2.0
#include "engine/graph_private.h"
#include "engine/legs.h"

#include <stdlib.h>
#include <string.h>

static bool add(struct sy_legs *p, uint32_t phase, uint32_t first, uint32_t end, bool message)
{
    if (p->count == p->room) {
        const size_t room = p->room == 0 ? 16 : 2 * p->room;
        struct sy_leg *bigger = realloc(p->list, room * sizeof *bigger);
        if (bigger == NULL)
            return false;
        p->list = bigger;
        p->room = room;
    }
    p->list[p->count++] = (struct sy_leg){.phase = phase, .first = first, .end = end, .message = message};
    return true;
}

/// Cuts one phase at its messages.
static bool cut(const struct sy_graph *g, struct sy_legs *p, uint32_t phase)
{
    const size_t before = p->count;
    uint32_t first = 0, nodes = 0;
    bool good = true;
    for (uint32_t i = 0; i < g->node_count && good; ++i) {
        if (g->nodes[i].phase != phase)
            continue;
        if (!sy_op_is_message(g->nodes[i].op)) {
            ++nodes;
            continue;
        }
        good = (nodes == 0 || add(p, phase, first, i, false)) && add(p, phase, i, i + 1, true);
        first = i + 1;
        nodes = 0;
    }
    return good && (nodes == 0 && p->count != before ? true : add(p, phase, first, (uint32_t)g->node_count, false));
}

enum sy_status sy_legs_create(const struct sy_graph *g, struct sy_legs *out)
{
    memset(out, 0, sizeof *out);
    out->first = calloc((size_t)g->phase_count + 1, sizeof *out->first);
    bool good = out->first != NULL;
    for (uint32_t phase = 0; phase < g->phase_count && good; ++phase) {
        out->first[phase] = out->count;
        good = cut(g, out, phase);
        out->first[phase + 1] = out->count;
    }
    if (good)
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
