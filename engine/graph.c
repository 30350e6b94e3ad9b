// SPDX-License-Identifier: Apache-2.0
#include "engine/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/tiles.h"

void sy_graph_init(struct sy_graph *g, struct sy_ctx *ctx, enum sy_precision precision,
                   enum sy_device_class device_class)
{
    memset(g, 0, sizeof *g);
    g->ctx = ctx;
    g->precision = precision;
    g->device_class = device_class;
    g->segment = -1;
    g->tile_rows = device_class == SY_CLASS_SIMT ? SY_TILE_ROWS_SIMT : SY_TILE_ROWS_CPU;
    g->t = precision == SY_PRECISION_F64 ? SY_F64 : precision == SY_PRECISION_F32 ? SY_F32 : SY_BF16;
    g->f = precision == SY_PRECISION_F64 ? SY_F64 : SY_F32;
    g->phase = SY_PHASE_MICRO;
    sy_tensor_new(g, SY_KIND_KEEP, SY_F32, 16, 1, 1, "none");
    g->step = sy_tensor_new(g, SY_KIND_INPUT, SY_U32, sizeof(struct sy_step) / 4, 1, 1, "step");
}

void sy_graph_finish(struct sy_graph *g)
{
    for (size_t i = 0; i < g->tensor_count; ++i)
        free((void *)(uintptr_t)g->tensors[i].data);
    for (size_t i = 0; i < g->param_count; ++i)
        free(g->params[i].names);
    free(g->tensors);
    free(g->nodes);
    free(g->params);
    free(g->grads);
    memset(g, 0, sizeof *g);
}

enum sy_status sy_graph_status(const struct sy_graph *g) { return g->status; }

/// The array with room for one more element, or NULL when out of memory: that sticks in `status`.
static void *grow(struct sy_graph *g, void *array, size_t count, size_t *room, size_t element)
{
    if (count < *room)
        return array;
    size_t wanted = *room == 0 ? 64 : *room * 2;
    void *bigger = realloc(array, wanted * element);
    if (bigger != NULL)
        *room = wanted;
    else
        sy_graph_no_memory(g);
    return bigger;
}

void sy_graph_no_memory(struct sy_graph *g)
{
    if (g->status == SY_OK)
        g->status = sy_fail(g->ctx, SY_NOMEM, "out of host memory while building the graph (%zu tensors, %zu ops)",
                            g->tensor_count, g->node_count);
}

struct sy_tensor *sy_graph_tensor(const struct sy_graph *g, sy_tid t)
{
    assert(t < g->tensor_count);
    return &g->tensors[t];
}

sy_tid sy_tensor_new(struct sy_graph *g, enum sy_tensor_kind kind, enum sy_dtype dtype, uint64_t d0, uint64_t d1,
                     uint64_t d2, const char *name)
{
    struct sy_tensor *tensors = grow(g, g->tensors, g->tensor_count, &g->tensor_room, sizeof *tensors);
    if (tensors == NULL)
        return SY_NONE;
    g->tensors = tensors;
    struct sy_tensor *x = &g->tensors[g->tensor_count];
    memset(x, 0, sizeof *x);
    snprintf(x->name, sizeof x->name, "%s%s", name[0] == '.' ? g->scope : "", name);
    x->kind = kind;
    x->dtype = dtype;
    x->shape[0] = d0;
    x->shape[1] = d1;
    x->shape[2] = d2;
    x->count = d0 * d1 * d2;
    if (x->count >= UINT32_MAX && g->status == SY_OK && kind == SY_KIND_ACTIVATION)
        g->status = sy_fail(g->ctx, SY_INVALID,
                            "tensor %s has %llu elements; kernels index with 32 bits: use a smaller batch "
                            "or shorter sequences",
                            x->name, (unsigned long long)x->count);
    return (sy_tid)g->tensor_count++;
}

sy_tid sy_tensor_const(struct sy_graph *g, enum sy_dtype dtype, uint64_t count, const void *data, const char *name)
{
    sy_tid t = sy_tensor_new(g, SY_KIND_CONST, dtype, count, 1, 1, name);
    if (t == SY_NONE)
        return t;
    size_t bytes = count * sy_dtype_bytes(dtype);
    void *copy = malloc(bytes);
    if (copy != NULL)
        memcpy(copy, data, bytes);
    else if (g->status == SY_OK)
        g->status = sy_fail(g->ctx, SY_NOMEM, "out of host memory: constant %s (%zu bytes)", name, bytes);
    g->tensors[t].data = copy;
    return t;
}

sy_tid sy_act_t(struct sy_graph *g, uint64_t rows, uint64_t cols, const char *name)
{
    return sy_tensor_new(g, SY_KIND_ACTIVATION, g->t, rows, cols, 1, name);
}

sy_tid sy_act_f(struct sy_graph *g, uint64_t rows, uint64_t cols, const char *name)
{
    return sy_tensor_new(g, SY_KIND_ACTIVATION, g->f, rows, cols, 1, name);
}

sy_tid sy_act_i(struct sy_graph *g, uint64_t rows, uint64_t cols, const char *name)
{
    return sy_tensor_new(g, SY_KIND_ACTIVATION, SY_I32, rows, cols, 1, name);
}

void sy_keep(struct sy_graph *g, sy_tid t)
{
    if (t != SY_NONE && g->tensors[t].kind == SY_KIND_ACTIVATION)
        g->tensors[t].kind = SY_KIND_KEEP;
}

static bool is_float(enum sy_dtype d) { return d == SY_F32 || d == SY_BF16 || d == SY_F64; }

/// The element-type variant that fits the tensors bound, or 0.
static enum sy_op_types types_of(const struct sy_graph *g, const struct sy_op_info *info, const sy_tid *bind)
{
    static const enum sy_op_types order[] = {SY_TYPES_F, SY_TYPES_B, SY_TYPES_M, SY_TYPES_D};
    for (size_t v = 0; v < SY_COUNT(order); ++v) {
        if (order[v] != SY_TYPES_D && (info->types & order[v]) == 0)
            continue;
        bool fits = true;
        for (uint32_t i = 0; i < info->binding_count && fits; ++i) {
            if (bind[i] == SY_NONE || info->binding_types[i] == 'c')
                continue;
            enum sy_dtype have = g->tensors[bind[i]].dtype;
            enum sy_dtype want = sy_op_dtype(info, i, order[v]);
            fits = have == want || (!is_float(want) && !is_float(have));
        }
        if (fits)
            return order[v];
    }
    return (enum sy_op_types)0;
}

static void check_sizes(struct sy_graph *g, const struct sy_op_info *info, const void *args, const sy_tid *bind)
{
    for (uint32_t i = 0; i < info->binding_count && g->status == SY_OK; ++i) {
        uint64_t need = info->impl->elements(args, i), have = g->tensors[bind[i]].count;
        if (info->binding_types[i] != 'c' && have < need)
            g->status = sy_fail(g->ctx, SY_INTERNAL, "%s/%s: binding %s (%s) has %llu elements but the op needs %llu",
                                g->scope, info->name, info->binding_names[i], g->tensors[bind[i]].name,
                                (unsigned long long)have, (unsigned long long)need);
    }
}

struct sy_node *sy_emit(struct sy_graph *g, enum sy_op_id op, const void *args, const sy_tid *bind)
{
    const struct sy_op_info *info = sy_op_info(op);
    struct sy_node *nodes = grow(g, g->nodes, g->node_count, &g->node_room, sizeof *nodes), *n = &g->spare;
    if (nodes != NULL) {
        g->nodes = nodes;
        n = &nodes[g->node_count++];
    }
    memset(n, 0, sizeof *n);
    n->op = op;
    n->phase = g->phase;
    n->backward = g->in_backward;
    n->segment = g->segment;
    memcpy(n->args, args, info->args_bytes);
    memcpy(n->bind, bind, info->binding_count * sizeof *bind);
    for (uint32_t i = 0; i < info->binding_count; ++i)
        if (info->binding_types[i] == 'c')
            n->bind[i] = g->step;
    snprintf(n->label, sizeof n->label, "%s%s%.60s", info->name, g->scope[0] != '\0' ? " " : "", g->scope);
    n->types = types_of(g, info, n->bind);
    if (n->types == 0 && g->status == SY_OK)
        g->status = sy_fail(g->ctx, SY_INTERNAL, "%s: op %s has no variant for the element types it was given",
                            g->scope, info->name);
    check_sizes(g, info, args, n->bind);
    return n;
}

sy_tid sy_param_new(struct sy_graph *g, uint32_t parts, uint32_t rows, uint32_t cols, const char (*names)[112],
                    enum sy_init init, float sigma, uint32_t flags)
{
    struct sy_param *params = grow(g, g->params, g->param_count, &g->param_room, sizeof *params);
    if (params == NULL)
        return SY_NONE;
    g->params = params;
    struct sy_param *p = &g->params[g->param_count++];
    memset(p, 0, sizeof *p);
    p->parts = parts;
    p->rows = rows;
    p->cols = cols;
    p->vector = init == SY_INIT_ONES; // not "one row": the router of a single expert is a matrix
    p->init = init;
    p->sigma = sigma;
    p->flags = flags;
    p->names = malloc((size_t)parts * sizeof *p->names);
    if (p->names != NULL)
        memcpy(p->names, names, (size_t)parts * sizeof *p->names);
    else
        sy_graph_no_memory(g);
    p->master = sy_tensor_new(g, SY_KIND_PARAM, g->f, parts, rows, cols, names[0]);
    bool wide = (flags & SY_PARAM_WIDE) != 0, shared = g->t == g->f || (wide && g->precision != SY_PRECISION_BF16);
    p->weight = shared ? p->master : sy_tensor_new(g, SY_KIND_WEIGHT, wide ? g->f : g->t, parts, rows, cols, names[0]);
    return p->weight;
}

struct sy_param *sy_graph_param(const struct sy_graph *g, sy_tid weight)
{
    for (size_t i = 0; i < g->param_count; ++i)
        if (g->params[i].weight == weight || g->params[i].master == weight)
            return &g->params[i];
    return NULL;
}

sy_tid sy_param_grad(struct sy_graph *g, sy_tid weight, bool *first)
{
    struct sy_param *p = sy_graph_param(g, weight);
    assert(p != NULL);
    if (p->grad == SY_NONE) {
        char name[112];
        snprintf(name, sizeof name, "grad.%.100s", p->names[0]);
        p->grad = sy_tensor_new(g, SY_KIND_GRAD, g->f, p->parts, p->rows, p->cols, name);
    }
    *first = p->grad_writes++ == 0;
    return p->grad;
}

void sy_graph_refresh(struct sy_graph *g)
{
    enum sy_phase before = g->phase;
    g->phase = SY_PHASE_REFRESH;
    for (size_t i = 0; i < g->param_count; ++i) {
        struct sy_param *p = &g->params[i];
        if (p->weight == p->master)
            continue;
        struct sy_cast_args args = {.n = (u32)g->tensors[p->master].count};
        bool wide = (p->flags & SY_PARAM_WIDE) != 0;
        sy_tid narrow = wide ? sy_act_t(g, (uint64_t)p->parts * p->rows, p->cols, "rounded") : p->weight;
        SY_EMIT(g, cast, &args, p->master, narrow);
        struct sy_router_input_args back = {.rows = p->parts * p->rows, .dim = p->cols, .scale = 1.0f};
        if (wide) // rounded to bf16, read as f32
            SY_EMIT(g, router_input, &back, narrow, SY_NONE, SY_NONE, p->weight);
    }
    g->phase = before;
}
