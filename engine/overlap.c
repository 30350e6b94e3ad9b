// SPDX-License-Identifier: Apache-2.0
#include "engine/overlap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/graph_private.h"
#include "engine/message.h"
#include "engine/slices.h"

enum {
    STRETCHES = 8,
    LEAST = 1 << 16
}; ///< A pack's sums go in at most so many messages, of at least so many elements.

// ---- gradients of weights while rows travel ------------------------------------------------------------------------

/// Whether the order of two nodes matters.
static bool conflict(const struct sy_graph *g, const struct sy_node *a, const struct sy_node *b)
{
    const struct sy_op_info *x = sy_op_info(a->op), *y = sy_op_info(b->op);
    for (uint32_t i = 0; i < x->binding_count; ++i)
        for (uint32_t k = 0; k < y->binding_count; ++k)
            if (((x->write_mask >> i & 1u) != 0 || (y->write_mask >> k & 1u) != 0) &&
                sy_graph_overlap(g, a->bind[i], b->bind[k]))
                return true;
    return false;
}

/// Nodes that wait for the next message, in their order.
struct waiting {
    const struct sy_node **list;
    size_t count;
};

/// `all`: gradients of weights do, too.
static bool must_wait(const struct sy_graph *g, const struct waiting *w, const struct sy_node *n, bool all)
{
    bool needs = all && n->op == SY_OP_matmul_dw;
    for (size_t i = 0; i < w->count && !needs; ++i)
        needs = conflict(g, w->list[i], n);
    return needs;
}

static void keep(struct sy_graph *g, const struct sy_node *n)
{
    g->phase = n->phase;
    *sy_emit(g, n->op, n->args, n->bind) = *n;
}

static void let_go(struct sy_graph *g, struct waiting *w)
{
    for (size_t i = 0; i < w->count; ++i)
        keep(g, w->list[i]);
    w->count = 0;
}

static bool carries_back(const struct sy_node *n)
{
    return n->op == SY_OP_exchange_rows && n->phase == SY_PHASE_MICRO && n->backward;
}

/// Whether a gradient is of experts that no other rank has: nobody waits for it before the update.
static bool is_own(const struct sy_graph *g, const struct sy_node *n)
{
    return n->op == SY_OP_matmul_dw && ((const struct sy_matmul_dw_args *)(const void *)n->args)->ragged != 0 &&
           g->ranks->data == 1;
}

/// Behind the last message that carries rows one gradient of its experts is enough; the other, which nobody waits for
/// before the update, is made at the very end, while the last sums of gradients travel.
static void let_one_go(struct sy_graph *g, struct waiting *w)
{
    size_t first = 0, second = 0;
    while (first < w->count && !is_own(g, w->list[first]))
        ++first;
    for (second = first + 1; second < w->count && !is_own(g, w->list[second]);)
        ++second;
    const size_t gone = second < w->count ? second : w->count;
    for (size_t i = 0; i < gone; ++i)
        keep(g, w->list[i]);
    w->count -= gone;
    memmove(w->list, w->list + gone, w->count * sizeof(struct sy_node *));
}

/// Moves the gradients of weights behind the next message that carries rows.
static void delay_weights(struct sy_graph *g)
{
    struct sy_node *old = g->nodes;
    const size_t count = g->node_count;
    struct waiting w = {.list = calloc(count + 1, sizeof(struct sy_node *))};
    size_t messages = 0; // that are still to come
    if (w.list == NULL) {
        sy_graph_no_memory(g);
        return;
    }
    for (size_t i = 0; i < count; ++i)
        messages += carries_back(&old[i]);
    g->nodes = NULL;
    g->node_count = g->node_room = 0;
    for (size_t i = 0; i < count && g->status == SY_OK; ++i) {
        const struct sy_node *n = &old[i];
        const bool here = n->phase == SY_PHASE_MICRO && n->backward, rows = carries_back(n);
        const bool wait = here && must_wait(g, &w, n, messages != 0);
        if (!here || (rows && wait))
            let_go(g, &w);
        if (wait && !rows) {
            w.list[w.count++] = n;
            continue;
        }
        keep(g, n);
        messages -= rows;
        if (rows && messages == 0)
            let_one_go(g, &w);
        else if (rows)
            let_go(g, &w);
    }
    let_go(g, &w);
    free(w.list);
    free(old);
}

// ---- sums of gradients under the rest of the backward pass ---------------------------------------------------------

/// A run of a pack's parameters, whose sums are one message.
struct stretch {
    uint32_t pack;
    uint64_t first, end; ///< Elements.
    size_t last;         ///< The node after which its gradients are all there.
};

bool sy_overlap_sums(const struct sy_graph *g, uint32_t pack)
{
    const struct sy_pack *p = &g->packs[pack];
    const uint32_t holders = p->sources > 1 ? g->ranks->data : sy_layout_ranks(g->ranks);
    return g->micro_count == 1 && g->ranks->turns == NULL && holders > 1 && (p->flags & SY_PACK_SUMS) == 0 &&
           sy_sum_total(g, pack) != SY_NONE;
}

/// The last node that writes a sum of the stretch.
static size_t last_writer(const struct sy_graph *g, const struct stretch *x)
{
    size_t last = 0;
    for (size_t i = 0; i < g->node_count; ++i) {
        const struct sy_op_info *info = sy_op_info(g->nodes[i].op);
        if (g->nodes[i].phase != SY_PHASE_MICRO)
            continue;
        for (uint32_t b = 0; b < info->binding_count; ++b)
            for (size_t k = 0; k < g->sum_count && (info->write_mask >> b & 1u) != 0; ++k) {
                const struct sy_sum *s = &g->sums[k];
                if (s->pack == x->pack && s->at >= x->first && s->at < x->end &&
                    sy_graph_overlap(g, g->nodes[i].bind[b], s->total))
                    last = i;
            }
    }
    return last;
}

/// Cuts a pack between parameters; a pack in pieces, which is one parameter, is one stretch.
static size_t cut(const struct sy_graph *g, uint32_t pack, struct stretch out[STRETCHES])
{
    const struct sy_pack *p = &g->packs[pack];
    const uint64_t most = p->count / STRETCHES, each = most > LEAST ? most : LEAST;
    size_t count = 0;
    out[0] = (struct stretch){.pack = pack, .end = p->count};
    while (p->each == 0 && count < STRETCHES - 1) { // the next one begins with the first parameter from `each` on
        uint64_t next = p->count;
        for (size_t i = 0; i < g->param_count; ++i) {
            const uint64_t at = g->params[i].at;
            if (g->params[i].pack == pack && at >= out[count].first + each && at < next)
                next = at;
        }
        if (next == p->count)
            break;
        out[count].end = next;
        out[++count] = (struct stretch){.pack = pack, .first = next, .end = p->count};
    }
    for (size_t i = 0; i <= count; ++i)
        out[i].last = last_writer(g, &out[i]);
    return count + 1;
}

static void emit(struct sy_graph *g, const struct stretch *x)
{
    const sy_tid total = sy_sum_total(g, x->pack);
    const bool whole = x->first == 0 && x->end == g->packs[x->pack].count;
    const struct sy_ranks_args a = {.n = (u32)(x->end - x->first), .pack = x->pack, .at = (u32)x->first};
    const sy_tid part =
        whole ? total : sy_tensor_view(g, total, x->first, x->end - x->first, 1, 1, sy_graph_tensor(g, total)->name);
    g->phase = SY_PHASE_MICRO;
    SY_EMIT(g, sum_ranks, &a, part);
}

/// Puts the sums of every stretch behind its last gradient.
static void hasten_sums(struct sy_graph *g)
{
    struct stretch *list = calloc((g->pack_count + 1) * (size_t)STRETCHES, sizeof *list);
    struct sy_node *old = g->nodes;
    const size_t nodes = g->node_count;
    size_t count = 0;
    if (list == NULL) {
        sy_graph_no_memory(g);
        return;
    }
    for (uint32_t k = 0; k < g->pack_count; ++k)
        count += sy_overlap_sums(g, k) ? cut(g, k, &list[count]) : 0;
    g->nodes = NULL;
    g->node_count = g->node_room = 0;
    for (size_t i = 0; i < nodes && g->status == SY_OK; ++i) {
        keep(g, &old[i]);
        for (size_t k = 0; k < count; ++k)
            if (list[k].last == i)
                emit(g, &list[k]);
    }
    free(list);
    free(old);
}

// ---- new values under the refresh ----------------------------------------------------------------------------------

static bool awaits(const struct sy_graph *g, const struct sy_node *n)
{
    for (uint32_t i = 0; i < g->node_count; ++i)
        if (g->nodes[i].op == SY_OP_share_ranks && sy_message_travels(g, i) && conflict(g, &g->nodes[i], n))
            return true;
    return false;
}

void sy_overlap_refresh(struct sy_graph *g)
{
    if (g->ranks == NULL || g->status != SY_OK)
        return;
    struct sy_node *sorted = calloc(g->node_count + 1, sizeof *sorted);
    struct waiting w = {.list = calloc(g->node_count + 1, sizeof(struct sy_node *))};
    size_t count = 0;
    if (sorted == NULL || w.list == NULL)
        sy_graph_no_memory(g);
    for (size_t i = 0; i < g->node_count && g->status == SY_OK; ++i) {
        const struct sy_node *n = &g->nodes[i];
        bool late = n->phase == SY_PHASE_REFRESH && awaits(g, n);
        for (size_t k = 0; k < w.count && n->phase == SY_PHASE_REFRESH && !late; ++k)
            late = conflict(g, w.list[k], n);
        if (late)
            w.list[w.count++] = n;
        else
            sorted[count++] = *n;
    }
    for (size_t i = 0; i < w.count && g->status == SY_OK; ++i)
        sorted[count++] = *w.list[i];
    if (g->status == SY_OK)
        memcpy(g->nodes, sorted, count * sizeof *sorted);
    free(w.list);
    free(sorted);
}

void sy_overlap_emit(struct sy_graph *g)
{
    const uint32_t before = g->phase;
    if (g->ranks == NULL || g->status != SY_OK)
        return;
    if (sy_layout_sources(g->ranks) > 1)
        delay_weights(g);
    if (g->status == SY_OK)
        hasten_sums(g);
    g->phase = before;
}
