// SPDX-License-Identifier: Apache-2.0
#include "engine/lower.h"

#include "engine/cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/graph_private.h"

/// A prepared copy that is still valid at the current node.
struct prepared {
    sy_tid source, copy;
    struct sy_before before; ///< How: op and arguments. `binding` says nothing here.
    enum sy_phase phase;
    bool backward; ///< Not shared between the passes: a copy kept alive in between would undo recomputation.
};

struct lowering {
    struct sy_graph *g;
    const struct sy_caps *caps;
    struct prepared *prepared;
    size_t count, room;
};

static sy_tid find_prepared(const struct lowering *l, sy_tid source, const struct sy_before *before,
                            const struct sy_node *like)
{
    for (size_t i = 0; i < l->count; ++i) {
        const struct prepared *p = &l->prepared[i];
        if (p->source == source && sy_before_same(&p->before, before) && p->phase == like->phase &&
            p->backward == like->backward)
            return p->copy;
    }
    return SY_NONE;
}

static void remember(struct lowering *l, const struct prepared *p)
{
    if (l->count == l->room) {
        size_t room = l->room == 0 ? 64 : 2 * l->room;
        struct prepared *bigger = realloc(l->prepared, room * sizeof *bigger);
        if (bigger == NULL) {
            sy_graph_no_memory(l->g);
            return;
        }
        l->prepared = bigger;
        l->room = room;
    }
    l->prepared[l->count++] = *p;
}

/// Whether writing `a` may change `b`: the same tensor, or one of them a part of the other.
static bool overlap(const struct sy_graph *g, sy_tid a, sy_tid b)
{
    return a == b || (a != SY_NONE && sy_graph_tensor(g, b)->parent == a) ||
           (b != SY_NONE && sy_graph_tensor(g, a)->parent == b);
}

/// A tensor that is written again makes its prepared copies stale.
static void forget_written(struct lowering *l, const struct sy_node *n)
{
    const struct sy_op_info *info = sy_op_info(n->op);
    for (uint32_t b = 0; b < info->binding_count; ++b) {
        if ((info->write_mask & (1u << b)) == 0)
            continue;
        for (size_t i = l->count; i-- > 0;) // downwards: the last one, which fills the gap, was looked at already
            if (overlap(l->g, n->bind[b], l->prepared[i].source))
                l->prepared[i] = l->prepared[--l->count];
    }
}

static void choose(struct lowering *l, struct sy_node *n)
{
    if (n->variant == NULL && l->g->status == SY_OK)
        l->g->status = sy_variant_choose_for(l->g->ctx, n->op, n->types, n->args, l->caps, &n->variant);
}

/// A tensor for what `before` makes of `source`.
static sy_tid copy_new(struct sy_graph *g, enum sy_tensor_kind kind, sy_tid source, const struct sy_before *before)
{
    const struct sy_op_info *info = sy_op_info(before->op);
    const struct sy_tensor from = *sy_graph_tensor(g, source);
    char name[sizeof from.name + 16];
    assert(info->binding_count == 2 && info->input_count == 1);
    snprintf(name, sizeof name, "%s.prepared", from.name);
    return sy_tensor_new(g, kind, from.dtype, info->impl->elements(before->args, 1), 1, 1, name);
}

static struct sy_node *emit(struct lowering *l, const struct sy_before *before, sy_tid source, sy_tid copy)
{
    struct sy_node *n = sy_emit(l->g, before->op, before->args, (const sy_tid[]){source, copy});
    n->prepares = true;
    choose(l, n);
    return n;
}

/// A parameter as kernels read it, or a piece of one.
static bool is_weight(const struct sy_graph *g, sy_tid t)
{
    const struct sy_tensor *x = sy_graph_tensor(g, t);
    const sy_tid whole = x->whole != SY_NONE ? x->whole : t;
    const struct sy_param *p = x->kind == SY_KIND_PARAM || x->kind == SY_KIND_WEIGHT ? sy_graph_param(g, whole) : NULL;
    return p != NULL && p->weight == whole;
}

/// A parameter's copy is one for all its readers: both passes, every micro-batch, and whoever borrows the parameter.
static sy_tid prepare_parameter(struct sy_graph *g, sy_tid weight, const struct sy_before *before)
{
    const sy_tid copy = sy_graph_prepared(g, weight, before);
    if (copy != SY_NONE)
        return copy;
    struct sy_prepared *prepared =
        sy_graph_grow(g, g->prepared, g->prepared_count, &g->prepared_room, sizeof *prepared);
    if (prepared == NULL)
        return SY_NONE;
    g->prepared = prepared;
    prepared = &prepared[g->prepared_count++];
    *prepared = (struct sy_prepared){weight, copy_new(g, SY_KIND_PREPARED, weight, before), *before};
    return prepared->copy;
}

/// Makes the copies of parameters, after the casts that some are made of.
static void refresh_prepared(struct lowering *l)
{
    struct sy_graph *g = l->g;
    g->phase = SY_PHASE_REFRESH;
    for (size_t i = 0; i < g->prepared_count && !g->borrows && g->status == SY_OK; ++i) {
        const struct sy_prepared *p = &g->prepared[i];
        struct sy_node *n = emit(l, &p->before, p->source, p->copy);
        n->segment = -1;
        snprintf(n->label, sizeof n->label, "%s %.60s", sy_op_info(n->op)->name, sy_graph_tensor(g, p->source)->name);
    }
}

/// What `before` makes of `source`: a copy from earlier or a new one.
static sy_tid prepare(struct lowering *l, const struct sy_node *like, sy_tid source, const struct sy_before *before)
{
    struct sy_graph *g = l->g;
    if (is_weight(g, source))
        return prepare_parameter(g, source, before);
    sy_tid copy = find_prepared(l, source, before, like);
    if (copy != SY_NONE)
        return copy;
    copy = copy_new(g, SY_KIND_ACTIVATION, source, before);
    struct sy_node *n = emit(l, before, source, copy);
    n->backward = like->backward;
    n->segment = like->segment;
    remember(l, &(struct prepared){source, copy, *before, like->phase, like->backward});
    return copy;
}

/// A variant that wants more prepared than one binding holds gives way to `base`.
static bool fits(const struct lowering *l, const struct sy_node *n, const struct sy_before *before)
{
    const struct sy_op_info *info = sy_op_info(before->op);
    const uint64_t bytes =
        info->impl->elements(before->args, 1) * sy_dtype_bytes(sy_graph_tensor(l->g, n->bind[before->binding])->dtype);
    return l->g->max_binding_bytes == 0 || bytes <= l->g->max_binding_bytes;
}

/// Whether a lending graph has the panels of a weight that this one has, too.
static bool lent(const struct sy_graph *g, sy_tid weight, const struct sy_before *before)
{
    for (size_t i = 0; i < g->param_count && i < g->lender->param_count; ++i)
        if (g->params[i].weight == weight)
            return sy_graph_prepared(g->lender, g->lender->params[i].weight, before) != SY_NONE;
    return false;
}

/// The variant that computes the same without panels from before, or NULL.
static const struct sy_variant *few_of(const struct sy_variant *v)
{
    static const char *const pairs[][2] = {{"packed", "few"}, {"dot", "dot_few"}};
    for (size_t i = 0; i < SY_COUNT(pairs) && v->op == SY_OP_matmul; ++i)
        if (strcmp(v->name, pairs[i][0]) == 0)
            return sy_variant_find(v->op, pairs[i][1]);
    return NULL;
}

/// Panels of a weight are read, written (and first fetched, to be written) and read again through memory, for each
/// step. A product that makes them for itself, panel by panel (matmul:few, dot_few), does that once for each tile of
/// rows, in its caches. Up to so many times it is the faster way, and needs no memory for panels; a tile may have twice
/// ROWS. Who borrows weights does as the lender does. Weights that never change are packed once.
static void take_few(struct lowering *l, struct sy_node *n, const struct sy_before *before)
{
    enum { ROWS = 48, TIMES = 2 };
    const struct sy_graph *g = l->g;
    const struct sy_variant *few = few_of(n->variant);
    const sy_tid weight = n->bind[before->binding];
    if (few == NULL || !is_weight(g, weight) || sy_graph_tensor(g, weight)->whole != SY_NONE ||
        (g->borrows && g->lender == NULL))
        return;
    const struct sy_matmul_args *a = (const struct sy_matmul_args *)(const void *)n->args;
    const uint64_t experts = a->of != 0 ? a->of : a->experts;
    const uint64_t times = sy_ceil_div(sy_ceil_div(a->m, experts), ROWS) * g->weight_passes;
    const bool wanted = g->lender != NULL ? !lent(g, weight, before) : times != 0 && times <= TIMES;
    bool killed = false;
    if (l->g->status == SY_OK)
        l->g->status = sy_variant_killed(g->ctx, few, &killed);
    if (wanted && !killed)
        n->variant = few;
}

static void choose_base(struct lowering *l, struct sy_node *n)
{
    const struct sy_variant *base = sy_variant_find(n->op, "base");
    bool killed = false;
    const enum sy_status status = sy_variant_killed(l->g->ctx, base, &killed);
    if (status != SY_OK)
        l->g->status = status;
    else if (killed)
        l->g->status =
            sy_fail(l->g->ctx, SY_INVALID,
                    "%s:%s wants more prepared than the device binds at once, and SY_NO_VARIANT takes %s:base away",
                    sy_op_info(n->op)->name, n->variant->name, sy_op_info(n->op)->name);
    n->variant = base;
}

static void lower_node(void *user, const struct sy_node *node)
{
    struct lowering *l = user;
    struct sy_node n = *node;
    struct sy_before before;
    l->g->phase = n.phase;
    if (sy_op_is_message(n.op)) { // the host's work; it sees whole tensors
        *sy_emit(l->g, n.op, n.args, n.bind) = n;
        forget_written(l, &n);
        return;
    }
    if (sy_cut_needed(l->g, &n)) {
        sy_cut(l->g, &n, lower_node, l);
        return;
    }
    choose(l, &n);
    if (l->g->status != SY_OK)
        return;
    bool prepares = sy_variant_before(n.variant, n.args, &before);
    if (prepares) {
        take_few(l, &n, &before);
        prepares = sy_variant_before(n.variant, n.args, &before);
    }
    if (prepares && !fits(l, &n, &before)) {
        choose_base(l, &n);
        prepares = false;
    }
    if (prepares)
        n.bind[before.binding] = prepare(l, &n, n.bind[before.binding], &before);
    struct sy_node *copy = sy_emit(l->g, n.op, n.args, n.bind);
    *copy = n;
    forget_written(l, &n);
}

void sy_lower(struct sy_graph *g, const struct sy_caps *caps)
{
    if (g->status != SY_OK)
        return;
    struct lowering l = {.g = g, .caps = caps};
    struct sy_node *old = g->nodes;
    sy_cut_activations(g);
    size_t count = g->node_count;
    g->nodes = NULL;
    g->node_count = g->node_room = 0;
    for (size_t i = 0; i < count && g->status == SY_OK; ++i)
        lower_node(&l, &old[i]);
    refresh_prepared(&l);
    free(old);
    free(l.prepared);
}
