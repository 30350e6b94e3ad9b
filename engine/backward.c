// SPDX-License-Identifier: Apache-2.0
#include "engine/backward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/graph_private.h"

static bool grads_reserve(struct sy_graph *g)
{
    if (g->grads_room >= g->tensor_room)
        return true;
    sy_tid *bigger = realloc(g->grads, g->tensor_room * sizeof *bigger);
    if (bigger == NULL) {
        sy_graph_no_memory(g);
        return false;
    }
    memset(bigger + g->grads_room, 0, (g->tensor_room - g->grads_room) * sizeof *bigger);
    g->grads = bigger;
    g->grads_room = g->tensor_room;
    return true;
}

sy_tid sy_grad_get(const struct sy_graph *g, sy_tid t) { return t < g->grads_room ? g->grads[t] : SY_NONE; }

void sy_grad_set(struct sy_graph *g, sy_tid t, sy_tid dt)
{
    if (grads_reserve(g))
        g->grads[t] = dt;
}

void sy_grad_add(struct sy_graph *g, sy_tid t, sy_tid dt)
{
    sy_tid before = sy_grad_get(g, t);
    if (before == SY_NONE) {
        sy_grad_set(g, t, dt);
        return;
    }
    const struct sy_tensor *x = sy_graph_tensor(g, dt);
    uint64_t rows = x->shape[0], count = x->count;
    sy_tid sum = sy_tensor_new(g, SY_KIND_ACTIVATION, x->dtype, rows, count / rows, 1, ".dsum");
    struct sy_add_args args = {.n = (u32)count};
    SY_EMIT(g, add, &args, before, dt, sum);
    sy_grad_set(g, t, sum);
}

static bool writes_activations(const struct sy_graph *g, const struct sy_node *n)
{
    const struct sy_op_info *info = sy_op_info(n->op);
    for (uint32_t b = 0; b < info->binding_count; ++b)
        if ((info->write_mask & (1u << b)) != 0 && sy_graph_tensor(g, n->bind[b])->kind == SY_KIND_ACTIVATION)
            return true;
    return false;
}

/// Repeats the forward nodes [from, to) of one segment with fresh activations. `map` (tensor → its repeated twin) is
/// filled.
static void repeat_segment(struct sy_graph *g, size_t from, size_t to, sy_tid *map, size_t map_count)
{
    for (size_t i = from; i < to; ++i) {
        struct sy_node n = g->nodes[i];
        const struct sy_op_info *info = sy_op_info(n.op);
        if (n.phase != SY_PHASE_MICRO)
            continue;
        if (!writes_activations(g, &n) || n.op == SY_OP_exchange_routes) // what it left lives on
            continue;
        sy_tid bind[SY_MAX_BINDINGS];
        for (uint32_t b = 0; b < info->binding_count; ++b) {
            sy_tid t = n.bind[b];
            if ((info->write_mask & (1u << b)) != 0 && t != SY_NONE) {
                struct sy_tensor x = *sy_graph_tensor(g, t);
                char name[sizeof x.name];
                snprintf(name, sizeof name, "%.*s'", (int)sizeof name - 2, x.name);
                if (map[t] == t) // several nodes may each write some of it
                    map[t] = sy_tensor_new(g, SY_KIND_ACTIVATION, x.dtype, x.shape[0], x.shape[1], x.shape[2], name);
                bind[b] = map[t];
            } else {
                bind[b] = t < map_count ? map[t] : t;
            }
        }
        struct sy_node *copy = sy_emit(g, n.op, n.args, bind);
        memcpy(copy->label, n.label, sizeof copy->label);
    }
    for (size_t t = 0; t < map_count; ++t)
        if (map[t] != (sy_tid)t && sy_grad_get(g, (sy_tid)t) != SY_NONE)
            sy_grad_set(g, map[t], sy_grad_get(g, (sy_tid)t));
}

static void remap(struct sy_node *n, const sy_tid *map, size_t map_count)
{
    for (size_t i = 0; i < SY_MAX_BINDINGS; ++i)
        if (n->bind[i] < map_count)
            n->bind[i] = map[n->bind[i]];
    for (size_t i = 0; i < SY_NODE_AUX; ++i)
        if (n->aux[i] < map_count)
            n->aux[i] = map[n->aux[i]];
}

void sy_backward(struct sy_graph *g, bool recompute)
{
    size_t forward = g->node_count, map_count = g->tensor_count;
    sy_tid *map = malloc(map_count * sizeof *map);
    if (map == NULL) {
        sy_graph_no_memory(g);
        return;
    }
    for (size_t t = 0; t < map_count; ++t)
        map[t] = (sy_tid)t;
    g->in_backward = true;
    g->phase = SY_PHASE_MICRO;
    int32_t segment = -1;
    for (size_t i = forward; i-- > 0 && g->status == SY_OK;) {
        struct sy_node n = g->nodes[i]; // a copy: emitting moves the array
        if (n.phase != SY_PHASE_MICRO)
            continue;
        if (recompute && n.segment >= 0 && n.segment != segment) {
            size_t from = i;
            while (from > 0 && g->nodes[from - 1].segment == n.segment)
                --from;
            repeat_segment(g, from, i + 1, map, map_count);
        }
        segment = n.segment;
        sy_rule rule = sy_rule_get(n.op);
        if (rule == NULL || n.part > 1)
            continue;
        remap(&n, map, map_count);
        const char *space = strchr(n.label, ' ');
        snprintf(g->scope, sizeof g->scope, "%.63s", space != NULL ? space + 1 : "");
        rule(g, &n);
    }
    g->scope[0] = '\0';
    g->in_backward = false;
    free(map);
}
