// SPDX-License-Identifier: Apache-2.0
#include "engine/cut.h"

#include <stdio.h>
#include <string.h>

#include "engine/graph_private.h"
#include "engine/pieces.h"

/// One node being cut.
struct cut {
    struct sy_graph *g;
    const struct sy_node *n;
    const struct sy_op_info *info;
    void (*emit)(void *user, const struct sy_node *n);
    void *user;
};

static const struct sy_tensor *tensor(const struct cut *c, sy_tid t) { return sy_graph_tensor(c->g, t); }
static bool in_pieces(const struct cut *c, sy_tid t) { return tensor(c, t)->pieces != SY_NONE; }

// ---- parts of a tensor ---------------------------------------------------------------------------------------------

static void copy(const struct cut *c, sy_tid from, sy_tid to, struct sy_copy_args args)
{
    struct sy_node n = *c->n;
    const enum sy_dtype dtype = tensor(c, from)->dtype;
    n.op = SY_OP_copy;
    n.types = dtype == SY_BF16 ? SY_TYPES_B : dtype == SY_F64 ? SY_TYPES_D : SY_TYPES_F;
    n.variant = NULL;
    snprintf(n.label, sizeof n.label, "copy for %.60s", c->n->label);
    memset(n.args, 0, sizeof n.args);
    memcpy(n.args, &args, sizeof args);
    memset(n.bind, 0, sizeof n.bind);
    n.bind[0] = from;
    n.bind[1] = to;
    c->emit(c->user, &n);
}

static sy_tid scratch(const struct cut *c, sy_tid like, uint64_t rows, uint64_t cols)
{
    const struct sy_tensor x = *tensor(c, like);
    char name[sizeof x.name];
    snprintf(name, sizeof name, "%.100s, a part", x.name);
    return sy_tensor_new(c->g, SY_KIND_ACTIVATION, x.dtype, rows, cols, 1, name);
}

/// Columns from … from + count − 1 of a tensor [planes, columns]: what is bound for them, and where they come from.
struct range {
    sy_tid bound, home;
    uint64_t planes, columns, from, count;
};

static struct sy_copy_args into_scratch(const struct range *r)
{
    return (struct sy_copy_args){.rows = (u32)r->planes,
                                 .cols = (u32)r->count,
                                 .from_stride = (u32)r->columns,
                                 .from_at = (u32)r->from,
                                 .to_stride = (u32)r->count};
}

/// A piece, a view, or, where neither can be bound, a copy: filled first when the op reads it, put back by
/// close_range() when it writes.
static struct range open_range(const struct cut *c, sy_tid t, uint64_t planes, uint64_t columns, uint64_t from,
                               uint64_t count, bool reads)
{
    struct range r = {.home = t, .planes = planes, .columns = columns, .from = from, .count = count};
    if (in_pieces(c, t)) {
        r.home = sy_piece_at(c->g, t, from);
        r.from = from - tensor(c, r.home)->at;
        r.columns = sy_tensor_columns(tensor(c, r.home));
        assert(r.from + count <= r.columns);
    }
    const struct sy_tensor home = *tensor(c, r.home);
    const bool view = home.parent != SY_NONE;
    const uint64_t at = (view ? home.at : 0) + r.from;
    if (r.from == 0 && count == r.columns)
        r.bound = r.home;
    else if (planes == 1 && at % SY_PACK_ALIGN == 0)
        r.bound = sy_tensor_view(c->g, view ? home.parent : r.home, at, count, 1, 1, home.name);
    else
        r.bound = scratch(c, t, planes, count);
    if (r.bound != r.home && sy_graph_tensor(c->g, r.bound)->parent == SY_NONE) {
        if (reads)
            copy(c, r.home, r.bound, into_scratch(&r));
    } else {
        r.home = SY_NONE; // bound where it is
    }
    return r;
}

static void close_range(const struct cut *c, const struct range *r, bool writes)
{
    if (!writes || r->home == SY_NONE)
        return;
    struct sy_copy_args a = into_scratch(r);
    a.to_stride = a.from_stride;
    a.to_at = a.from_at;
    a.from_stride = a.cols;
    a.from_at = 0;
    copy(c, r->bound, r->home, a);
}

// ---- along the op's axis -------------------------------------------------------------------------------------------

/// Elements of one unit in binding `i`; 0: it is not cut along the axis.
static uint64_t unit_of(const struct cut *c, uint32_t i, uint64_t *planes)
{
    *planes = 1;
    return c->info->impl->axis != NULL ? c->info->impl->axis->unit(c->n->args, i, planes) : 0;
}

/// Where the next piece of any binding begins behind unit `from`, or the last ends; 0 when nothing is in pieces.
static uint64_t next_unit(const struct cut *c, uint64_t from, uint64_t *end)
{
    uint64_t next = 0;
    for (uint32_t i = 0; i < c->info->binding_count; ++i) {
        uint64_t planes, unit = unit_of(c, i, &planes);
        if (unit == 0 || !in_pieces(c, c->n->bind[i]))
            continue;
        const struct sy_tensor *p = tensor(c, sy_piece_at(c->g, c->n->bind[i], from * unit));
        const uint64_t stop = (p->at + sy_tensor_columns(p)) / unit;
        next = next == 0 || stop < next ? stop : next;
        *end = sy_tensor_columns(tensor(c, c->n->bind[i])) / unit;
    }
    return next;
}

static bool cut_axis(const struct cut *c)
{
    uint64_t end = 0, next;
    if (next_unit(c, 0, &end) == 0)
        return false;
    for (uint64_t from = 0; from < end && c->g->status == SY_OK; from = next) {
        struct range ranges[SY_MAX_BINDINGS] = {{0}};
        struct sy_node n = *c->n;
        next = next_unit(c, from, &end);
        c->info->impl->axis->some(n.args, from, next - from);
        for (uint32_t i = 0; i < c->info->binding_count; ++i) {
            uint64_t planes, unit = unit_of(c, i, &planes);
            if (unit == 0)
                continue;
            ranges[i] = open_range(c, c->n->bind[i], planes, end * unit, from * unit, (next - from) * unit,
                                   (c->info->read_mask >> i & 1u) != 0);
            n.bind[i] = ranges[i].bound;
        }
        c->emit(c->user, &n);
        for (uint32_t i = 0; i < c->info->binding_count; ++i)
            close_range(c, &ranges[i], (c->info->write_mask >> i & 1u) != 0);
    }
    return true;
}

/// One value for every element: the pieces one after the other, whatever their planes.
static void cut_fill(const struct cut *c)
{
    for (sy_tid p = tensor(c, c->n->bind[0])->pieces; p != SY_NONE; p = tensor(c, p)->next) {
        struct sy_node n = *c->n;
        ((struct sy_fill_args *)(void *)n.args)->n = (u32)tensor(c, p)->count;
        n.bind[0] = p;
        c->emit(c->user, &n);
    }
}

// ---- products ------------------------------------------------------------------------------------------------------

/// Columns from … from + count − 1 of c = a · b; `b` holds what they are made of.
static void some_columns(const struct cut *c, sy_tid b, uint64_t from, uint64_t count)
{
    const struct sy_matmul_args a = *(const struct sy_matmul_args *)(const void *)c->n->args;
    const sy_tid out = c->n->bind[3];
    struct range r = {.home = out, .planes = a.m, .columns = a.n, .from = from, .count = count};
    r.bound = scratch(c, out, a.m, count);
    if (a.accumulate != 0)
        copy(c, out, r.bound, into_scratch(&r));
    struct sy_node n = *c->n;
    ((struct sy_matmul_args *)(void *)n.args)->n = (u32)count;
    n.bind[1] = b;
    n.bind[3] = r.bound;
    c->emit(c->user, &n);
    close_range(c, &r, true);
}

/// c = a · b with b in pieces of rows. Stored [N][K], a piece is some columns of c.
static void cut_columns(const struct cut *c)
{
    const struct sy_matmul_args a = *(const struct sy_matmul_args *)(const void *)c->n->args;
    const sy_tid b = c->n->bind[1];
    for (sy_tid p = tensor(c, b)->pieces; p != SY_NONE; p = tensor(c, p)->next) {
        const uint64_t from = tensor(c, p)->at / a.k, count = tensor(c, p)->count / a.k;
        some_columns(c, p, from, count);
    }
}

/// … Stored [K][N], a piece is a part of every sum: blocks of columns of all rows are brought together.
static bool cut_sums(const struct cut *c)
{
    const struct sy_matmul_args a = *(const struct sy_matmul_args *)(const void *)c->n->args;
    const sy_tid b = c->n->bind[1];
    const uint64_t most = sy_most_elements(c->g, tensor(c, b)->dtype) / a.k;
    if (most == 0)
        return false;
    const uint64_t each = sy_ceil_div(a.n, sy_ceil_div(a.n, most));
    for (uint64_t from = 0; from < a.n; from += each) {
        const uint64_t count = a.n - from < each ? a.n - from : each;
        const sy_tid block = scratch(c, b, a.k, count);
        for (sy_tid p = tensor(c, b)->pieces; p != SY_NONE; p = tensor(c, p)->next)
            copy(c, p, block,
                 (struct sy_copy_args){.rows = (u32)(tensor(c, p)->count / a.n),
                                       .cols = (u32)count,
                                       .from_stride = a.n,
                                       .from_at = (u32)from,
                                       .to_stride = (u32)count,
                                       .to_at = (u32)(tensor(c, p)->at / a.n * count)});
        some_columns(c, block, from, count);
    }
    return true;
}

/// Rows from … from + count − 1 of w = yᵀ · x: as many columns of y, brought together.
static void some_of_w(const struct cut *c, uint64_t from, uint64_t count)
{
    const struct sy_matmul_dw_args a = *(const struct sy_matmul_dw_args *)(const void *)c->n->args;
    const sy_tid y = c->n->bind[0], w = c->n->bind[3];
    const sy_tid block = scratch(c, y, a.rows, count);
    const sy_tid first = in_pieces(c, y) ? tensor(c, y)->pieces : y;
    for (sy_tid p = first; p != SY_NONE; p = tensor(c, p)->next)
        copy(c, p, block,
             (struct sy_copy_args){.rows = in_pieces(c, y) ? (u32)(tensor(c, p)->count / a.m) : a.rows,
                                   .cols = (u32)count,
                                   .from_stride = a.m,
                                   .from_at = (u32)from,
                                   .to_stride = (u32)count,
                                   .to_at = in_pieces(c, y) ? (u32)(tensor(c, p)->at / a.m * count) : 0});
    const struct range r = open_range(c, w, a.slices, (uint64_t)a.m * a.n, from * a.n, count * a.n, a.accumulate != 0);
    struct sy_node n = *c->n;
    ((struct sy_matmul_dw_args *)(void *)n.args)->m = (u32)count;
    n.bind[0] = block;
    n.bind[3] = r.bound;
    c->emit(c->user, &n);
    close_range(c, &r, true);
}

static bool cut_gradient(const struct cut *c)
{
    const struct sy_matmul_dw_args a = *(const struct sy_matmul_dw_args *)(const void *)c->n->args;
    const sy_tid y = c->n->bind[0], w = c->n->bind[3];
    uint64_t most = sy_most_elements(c->g, tensor(c, y)->dtype) / a.rows;
    if (a.experts != 1 || most == 0 || in_pieces(c, c->n->bind[1]))
        return false;
    if (!in_pieces(c, w) && a.slices > 1) { // w's rows go through a copy, too
        const uint64_t copied = sy_most_elements(c->g, tensor(c, w)->dtype) / a.slices / a.n;
        most = copied < most ? copied : most;
    }
    for (uint64_t from = 0, count; from < a.m && c->g->status == SY_OK && most != 0; from += count) {
        uint64_t end = a.m;
        if (in_pieces(c, w)) {
            const struct sy_tensor *p = tensor(c, sy_piece_at(c->g, w, from * a.n));
            end = (p->at + sy_tensor_columns(p)) / a.n;
        }
        count = sy_ceil_div(end - from, sy_ceil_div(end - from, most));
        some_of_w(c, from, count);
    }
    return most != 0;
}

static bool cut_product(const struct cut *c)
{
    if (c->n->op == SY_OP_matmul_dw)
        return cut_gradient(c);
    const struct sy_matmul_args *a = (const struct sy_matmul_args *)(const void *)c->n->args;
    if (c->n->op != SY_OP_matmul || a->experts != 1 || a->of != 0 || !in_pieces(c, c->n->bind[1]))
        return false;
    if (a->bt == 0)
        return cut_sums(c);
    cut_columns(c);
    return true;
}

// ---- nodes and activations -----------------------------------------------------------------------------------------

bool sy_cut_needed(const struct sy_graph *g, const struct sy_node *n)
{
    for (uint32_t i = 0; i < sy_op_info(n->op)->binding_count; ++i)
        if (sy_graph_tensor(g, n->bind[i])->pieces != SY_NONE)
            return true;
    return false;
}

void sy_cut(struct sy_graph *g, const struct sy_node *n, void (*emit)(void *user, const struct sy_node *n), void *user)
{
    const struct cut c = {.g = g, .n = n, .info = sy_op_info(n->op), .emit = emit, .user = user};
    if (n->op == SY_OP_fill)
        cut_fill(&c);
    else if (!cut_axis(&c) && !cut_product(&c) && g->status == SY_OK)
        for (uint32_t i = 0; i < c.info->binding_count && g->status == SY_OK; ++i) {
            const struct sy_tensor *x = tensor(&c, n->bind[i]);
            if (x->pieces != SY_NONE)
                g->status =
                    sy_fail(g->ctx, SY_UNSUPPORTED,
                            "tensor %s needs %llu bytes but the device binds at most %llu at once, and %s cannot "
                            "take it in parts: use a smaller batch or model, or another device",
                            x->name, (unsigned long long)sy_tensor_bytes(x), (unsigned long long)g->max_binding_bytes,
                            c.info->name);
        }
}

/// Whether a node can take binding `i` in pieces of rows of `row` elements.
static bool takes_rows(const struct sy_node *n, uint32_t i, uint64_t row)
{
    const struct sy_axis *axis = sy_op_info(n->op)->impl->axis;
    uint64_t planes = 1;
    if (n->op == SY_OP_matmul_dw)
        return i == 0 && ((const struct sy_matmul_dw_args *)(const void *)n->args)->experts == 1;
    const uint64_t unit = axis != NULL ? axis->unit(n->args, i, &planes) : 0;
    return unit != 0 && row % unit == 0 && planes == 1;
}

static bool can_be_cut(const struct sy_graph *g, sy_tid t)
{
    bool used = false;
    for (size_t k = 0; k < g->node_count; ++k)
        for (uint32_t i = 0; i < sy_op_info(g->nodes[k].op)->binding_count; ++i) {
            if (g->nodes[k].bind[i] != t)
                continue;
            used = true;
            if (!takes_rows(&g->nodes[k], i, g->tensors[t].count / g->tensors[t].shape[0]))
                return false;
        }
    return used;
}

void sy_cut_activations(struct sy_graph *g)
{
    const size_t count = g->tensor_count;
    for (sy_tid t = 1; t < count && g->status == SY_OK; ++t) {
        const struct sy_tensor *x = &g->tensors[t];
        const bool free = x->kind == SY_KIND_ACTIVATION || x->kind == SY_KIND_KEEP;
        if (!free || x->parent != SY_NONE || x->pieces != SY_NONE || x->whole != SY_NONE ||
            x->count <= sy_most_elements(g, x->dtype) || !can_be_cut(g, t))
            continue;
        const uint64_t each = sy_piece_columns(g, x->dtype, 1, x->count, x->count / x->shape[0]);
        if (each < x->count)
            sy_pieces_cut(g, t, 1, each, each);
    }
}
