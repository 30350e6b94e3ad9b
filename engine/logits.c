// SPDX-License-Identifier: Apache-2.0
#include "engine/logits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/graph_private.h"

/// The nodes around one cross-entropy; `loss_bwd` and what follows it are NULL in evaluation.
struct head {
    const struct sy_node *product, *loss, *loss_bwd, *to_x, *to_w;
    uint32_t slices, length; ///< … of so many rows.
    uint32_t each;           ///< Rows of a slice in one part.
};

/// One part: rows from … from + count − 1 of every slice.
struct part {
    struct sy_graph *g;
    const struct head *h;
    uint32_t from, count;
};

#define ARGS(type, n) (*(const struct type *)(const void *)(n)->args)

static bool binds(const struct sy_node *n, sy_tid t)
{
    for (uint32_t b = 0; b < sy_op_info(n->op)->binding_count; ++b)
        if (n->bind[b] == t)
            return true;
    return false;
}

static bool dense(const struct sy_node *n)
{
    const struct sy_matmul_args a = ARGS(sy_matmul_args, n);
    return n->op == SY_OP_matmul && a.experts == 1 && a.of == 0 && a.accumulate == 0;
}

/// Finds who makes and reads the logits of `loss`, and their gradient; false when anybody else does.
static bool find_head(const struct sy_node *nodes, size_t count, const struct sy_node *loss, struct head *out)
{
    *out = (struct head){.loss = loss};
    for (const struct sy_node *n = nodes; n < nodes + count; ++n) {
        const sy_tid logits = loss->bind[0], dlogits = out->loss_bwd != NULL ? out->loss_bwd->bind[4] : SY_NONE;
        if (n == loss)
            continue;
        if (binds(n, logits)) {
            if (dense(n) && n->bind[3] == logits && out->product == NULL)
                out->product = n;
            else if (n->op == SY_OP_xent_bwd && n->bind[0] == logits && out->loss_bwd == NULL)
                out->loss_bwd = n;
            else
                return false;
        } else if (dlogits != SY_NONE && binds(n, dlogits)) {
            if (dense(n) && n->bind[0] == dlogits && out->to_x == NULL)
                out->to_x = n;
            else if (n->op == SY_OP_matmul_dw && n->bind[0] == dlogits && out->to_w == NULL)
                out->to_w = n;
            else
                return false;
        }
    }
    return out->product != NULL && (out->loss_bwd == NULL || (out->to_x != NULL && out->to_w != NULL));
}

/// Whether the logits of `loss` are made in parts, and in which.
static bool plan_parts(const struct sy_graph *g, const struct sy_node *nodes, size_t count, const struct sy_node *loss,
                       struct head *out)
{
    if (g->tensors[loss->bind[0]].kind != SY_KIND_ACTIVATION || !find_head(nodes, count, loss, out))
        return false;
    const struct sy_xent_args x = ARGS(sy_xent_args, loss);
    out->slices = 1;
    if (out->to_w != NULL) {
        const struct sy_matmul_dw_args w = ARGS(sy_matmul_dw_args, out->to_w);
        if (w.experts != 1 || w.ragged != 0 || w.accumulate != 0)
            return false;
        out->slices = w.slices;
    }
    out->length = x.rows / out->slices;
    const uint64_t most = g->logits_bytes / ((uint64_t)x.vocab * sy_dtype_bytes(g->f)),
                   parts = sy_ceil_div(out->length, most != 0 ? most : 1);
    out->each = (uint32_t)sy_ceil_div(out->length, parts); // all of about one size
    return parts > 1;
}

static struct sy_node *emit_like(struct sy_graph *g, const struct sy_node *like, const void *args, const sy_tid *bind)
{
    struct sy_node *n = sy_emit(g, like->op, args, bind);
    n->phase = like->phase;
    n->backward = like->backward;
    n->segment = like->segment;
    memcpy(n->label, like->label, sizeof n->label);
    return n;
}

static sy_tid new_part(const struct part *p, sy_tid like, uint64_t columns)
{
    const struct sy_tensor x = p->g->tensors[like];
    char name[sizeof x.name];
    snprintf(name, sizeof name, "%.80s, rows %u to %u", x.name, p->from, p->from + p->count - 1);
    return sy_tensor_new(p->g, SY_KIND_ACTIVATION, x.dtype, (uint64_t)p->h->slices * p->count, columns, 1, name);
}

/// Whether the part's rows of a matrix are one stretch of it that can be bound.
static bool can_be_view(const struct part *p, sy_tid t, uint32_t columns)
{
    const struct sy_tensor *x = &p->g->tensors[t];
    return p->h->slices == 1 && x->parent == SY_NONE && (uint64_t)p->from * columns % SY_PACK_ALIGN == 0;
}

/// The part's rows of a matrix: a view, or a tensor to copy them to or from.
static sy_tid open_rows(const struct part *p, sy_tid t, uint32_t columns)
{
    if (!can_be_view(p, t, columns))
        return new_part(p, t, columns);
    char name[sizeof p->g->tensors[t].name];
    memcpy(name, p->g->tensors[t].name, sizeof name); // making a view moves the array
    return sy_tensor_view(p->g, t, (uint64_t)p->from * columns, p->count, columns, 1, name);
}

static void copy_rows(const struct part *p, const struct sy_node *like, sy_tid whole, sy_tid rows, uint32_t columns,
                      bool back)
{
    const u32 apart = p->h->length * columns, at = p->from * columns, cols = p->count * columns;
    const struct sy_copy_args
        in = {.rows = p->h->slices, .cols = cols, .from_stride = apart, .from_at = at, .to_stride = cols},
        out = {.rows = p->h->slices, .cols = cols, .from_stride = cols, .to_stride = apart, .to_at = at};
    struct sy_node *n =
        sy_emit(p->g, SY_OP_copy, back ? &out : &in, (const sy_tid[]){back ? rows : whole, back ? whole : rows});
    n->phase = like->phase;
    n->backward = like->backward;
    snprintf(n->label, sizeof n->label, "copy for %.60s", like->label);
}

static void emit_part(const struct part *p)
{
    const struct head *h = p->h;
    struct sy_matmul_args there = ARGS(sy_matmul_args, h->product);
    struct sy_xent_args x = ARGS(sy_xent_args, h->loss);
    const sy_tid *product = h->product->bind, *loss = h->loss->bind, *to_x, *to_w;
    x.rows = there.m = h->slices * p->count;
    x.each = p->count;
    x.apart = h->length;
    x.at = p->from;
    there.tiles = (u32)sy_ceil_div(there.m, there.tile_rows);
    const sy_tid rows = open_rows(p, product[0], there.k), logits = new_part(p, loss[0], x.vocab);
    if (!can_be_view(p, product[0], there.k))
        copy_rows(p, h->product, product[0], rows, there.k, false);
    emit_like(p->g, h->product, &there, (const sy_tid[]){rows, product[1], SY_NONE, logits});
    emit_like(p->g, h->loss, &x, (const sy_tid[]){logits, loss[1], loss[2]});
    if (h->loss_bwd == NULL)
        return;
    to_x = h->to_x->bind;
    to_w = h->to_w->bind;
    struct sy_matmul_args back = ARGS(sy_matmul_args, h->to_x);
    struct sy_matmul_dw_args w = ARGS(sy_matmul_dw_args, h->to_w);
    const sy_tid dlogits = new_part(p, h->loss_bwd->bind[4], x.vocab), drows = open_rows(p, to_x[3], back.n);
    back.m = w.rows = there.m;
    back.tiles = there.tiles;
    w.accumulate = p->from != 0;
    emit_like(p->g, h->loss_bwd, &x, (const sy_tid[]){logits, loss[1], loss[2], SY_NONE, dlogits});
    emit_like(p->g, h->to_x, &back, (const sy_tid[]){dlogits, to_x[1], SY_NONE, drows});
    if (!can_be_view(p, to_x[3], back.n))
        copy_rows(p, h->to_x, to_x[3], drows, back.n, true);
    emit_like(p->g, h->to_w, &w, (const sy_tid[]){dlogits, rows, SY_NONE, to_w[3]});
}

/// The nodes again, with those of `h` in parts where the loss was.
static void rewrite(struct sy_graph *g, const struct head *h, const struct sy_node *nodes, size_t count)
{
    g->nodes = NULL;
    g->node_count = g->node_room = 0;
    for (const struct sy_node *n = nodes; n < nodes + count && g->status == SY_OK; ++n) {
        if (n == h->product || n == h->loss_bwd || n == h->to_x || n == h->to_w)
            continue;
        if (n != h->loss)
            *sy_emit(g, n->op, n->args, n->bind) = *n;
        for (struct part p = {.g = g, .h = h}; n == h->loss && p.from < h->length && g->status == SY_OK;
             p.from += p.count) {
            p.count = h->length - p.from < h->each ? h->length - p.from : h->each;
            emit_part(&p);
        }
    }
}

void sy_logits_in_parts(struct sy_graph *g)
{
    struct head h;
    for (size_t i = 0; i < g->node_count && g->status == SY_OK; ++i)
        if (g->nodes[i].op == SY_OP_xent && plan_parts(g, g->nodes, g->node_count, &g->nodes[i], &h)) {
            struct sy_node *old = g->nodes;
            rewrite(g, &h, old, g->node_count);
            free(old);
            return; // a model has one head
        }
}
