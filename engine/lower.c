// SPDX-License-Identifier: Apache-2.0
#include "engine/lower.h"

#include <stdlib.h>
#include <string.h>

/// A packed copy that is still valid at the current node.
struct packed {
    sy_tid source, panels;
    uint32_t bt;
    enum sy_phase phase;
    bool backward; ///< Not shared between the passes: a panel kept alive in between would undo recomputation.
};

struct lowering {
    struct sy_graph *g;
    struct packed *packed;
    size_t count, room;
};

static sy_tid find_packed(const struct lowering *l, sy_tid source, uint32_t bt, const struct sy_node *like)
{
    for (size_t i = 0; i < l->count; ++i)
        if (l->packed[i].source == source && l->packed[i].bt == bt && l->packed[i].phase == like->phase &&
            l->packed[i].backward == like->backward)
            return l->packed[i].panels;
    return SY_NONE;
}

static void remember(struct lowering *l, sy_tid source, uint32_t bt, const struct sy_node *like, sy_tid panels)
{
    if (l->count == l->room) {
        size_t room = l->room == 0 ? 64 : 2 * l->room;
        struct packed *bigger = realloc(l->packed, room * sizeof *bigger);
        if (bigger == NULL) {
            sy_graph_no_memory(l->g);
            return;
        }
        l->packed = bigger;
        l->room = room;
    }
    l->packed[l->count++] =
        (struct packed){.source = source, .panels = panels, .bt = bt, .phase = like->phase, .backward = like->backward};
}

/// A tensor that is written again makes its packed copies stale.
static void forget_written(struct lowering *l, const struct sy_node *n)
{
    const struct sy_op_info *info = sy_op_info(n->op);
    for (uint32_t b = 0; b < info->binding_count; ++b) {
        if ((info->write_mask & (1u << b)) == 0)
            continue;
        for (size_t i = l->count; i-- > 0;) // downwards: the last one, which fills the gap, was looked at already
            if (l->packed[i].source == n->bind[b])
                l->packed[i] = l->packed[--l->count];
    }
}

/// The panels of `source` seen as batch × [n, k] (bt 1) or [k, n] (bt 0).
static sy_tid pack(struct lowering *l, const struct sy_node *like, sy_tid source, struct sy_pack_b_args a)
{
    struct sy_graph *g = l->g;
    sy_tid panels = find_packed(l, source, a.bt, like);
    if (panels != SY_NONE)
        return panels;
    enum sy_dtype type = sy_graph_tensor(g, source)->dtype;
    panels = sy_tensor_new(g, SY_KIND_ACTIVATION, type, a.batch, sy_ceil_div(a.n, SY_PANEL) * SY_PANEL, a.k, ".panels");
    struct sy_node *n = SY_EMIT(g, pack_b, &a, source, panels);
    n->backward = like->backward;
    n->segment = like->segment;
    remember(l, source, a.bt, like, panels);
    return panels;
}

static void emit_packed(struct lowering *l, const struct sy_node *n)
{
    struct sy_graph *g = l->g;
    sy_tid bind[SY_MAX_BINDINGS];
    memcpy(bind, n->bind, sizeof bind);
    enum sy_op_id op;
    if (n->op == SY_OP_matmul) {
        struct sy_matmul_args a = *(const struct sy_matmul_args *)(const void *)n->args;
        bind[1] = pack(l, n, n->bind[1], (struct sy_pack_b_args){.batch = a.experts, .n = a.n, .k = a.k, .bt = a.bt});
        op = SY_OP_matmul_packed;
    } else {
        struct sy_matmul_dw_args a = *(const struct sy_matmul_dw_args *)(const void *)n->args;
        bind[1] = pack(l, n, n->bind[1], (struct sy_pack_b_args){.batch = 1, .n = a.n, .k = a.rows, .bt = 0});
        op = SY_OP_matmul_dw_packed;
    }
    struct sy_node *copy = sy_emit(g, op, n->args, bind);
    copy->backward = n->backward;
    copy->segment = n->segment;
    copy->first_write = n->first_write;
    const char *space = strchr(n->label, ' ');
    if (space != NULL)
        strncat(copy->label, space, sizeof copy->label - strlen(copy->label) - 1);
}

void sy_lower(struct sy_graph *g)
{
    if (g->device_class != SY_CLASS_CPU || g->status != SY_OK)
        return;
    struct lowering l = {.g = g};
    struct sy_node *old = g->nodes;
    size_t count = g->node_count;
    g->nodes = NULL;
    g->node_count = g->node_room = 0;
    for (size_t i = 0; i < count && g->status == SY_OK; ++i) {
        const struct sy_node *n = &old[i];
        g->phase = n->phase;
        if (n->op == SY_OP_matmul || n->op == SY_OP_matmul_dw) {
            emit_packed(&l, n);
        } else {
            struct sy_node *copy = sy_emit(g, n->op, n->args, n->bind);
            *copy = *n;
        }
        if (g->node_count > 0)
            forget_written(&l, &g->nodes[g->node_count - 1]);
    }
    free(old);
    free(l.packed);
}
