// SPDX-License-Identifier: Apache-2.0
#include "engine/graph_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/pieces.h"
#include "engine/slices.h"
#include "kernels/matrices.h"
#include "kernels/tiles.h"

/// What logits may need at once (logits.h): a part must fill the device, and the weight passes by once for each.
#define LOGITS_CPU (UINT64_C(64) << 20)
#define LOGITS_SIMT (UINT64_C(256) << 20)

const char *sy_precision_name(enum sy_precision precision)
{
    static const char *const names[] = {"f32", "bf16", "selective", "f64"};
    return names[precision];
}

enum sy_status sy_graph_create(struct sy_ctx *ctx, enum sy_precision precision, const struct sy_caps *caps,
                               struct sy_graph **out)
{
    struct sy_graph *g = calloc(1, sizeof *g);
    if (g == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory: a graph");
    g->ctx = ctx;
    g->precision = precision;
    g->device_class = caps->device_class;
    g->max_binding_bytes = caps->max_binding_bytes;
    g->segment = -1;
    g->tile_rows = caps->device_class == SY_CLASS_SIMT ? SY_TILE_ROWS_SIMT : SY_TILE_ROWS_CPU;
    g->many_groups = caps->device_class == SY_CLASS_SIMT;
    g->cache_bytes = caps->device_class == SY_CLASS_CPU ? caps->cache_bytes : 0; // elsewhere a launch costs more
    g->logits_bytes = caps->logits_bytes != 0 ? caps->logits_bytes : g->many_groups ? LOGITS_SIMT : LOGITS_CPU;
    if ((caps->mma || caps->coop_bf16.m != 0) && precision != SY_PRECISION_F32)
        g->tile_rows = SY_MMA_ROWS(SY_MMA_WG);
    g->t = precision == SY_PRECISION_F64 ? SY_F64 : precision == SY_PRECISION_F32 ? SY_F32 : SY_BF16;
    g->f = precision == SY_PRECISION_F64 ? SY_F64 : SY_F32;
    g->phase = SY_PHASE_MICRO;
    g->phase_count = SY_PHASE_MERGE;
    g->slices = g->micro_count = 1;
    sy_tensor_new(g, SY_KIND_KEEP, SY_F32, 16, 1, 1, "none");
    g->step_constants = sy_tensor_new(g, SY_KIND_INPUT, SY_U32, sizeof(struct sy_step) / 4, 1, 1, "step");
    *out = g;
    return SY_OK;
}

void sy_graph_destroy(struct sy_graph **graph)
{
    struct sy_graph *g = *graph;
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->tensor_count; ++i)
        free((void *)(uintptr_t)g->tensors[i].data);
    for (size_t i = 0; i < g->param_count; ++i)
        free(g->params[i].names);
    free(g->tensors);
    free(g->nodes);
    free(g->params);
    for (size_t i = 0; i < g->pack_count; ++i)
        free(g->packs[i].shards);
    free(g->packs);
    free(g->sums);
    free(g->prepared);
    free(g->merges);
    free(g->foreign);
    free(g->grads);
    free(g);
    *graph = NULL;
}

enum sy_status sy_graph_status(const struct sy_graph *g) { return g->status; }
size_t sy_graph_tensor_count(const struct sy_graph *g) { return g->tensor_count; }
size_t sy_graph_node_count(const struct sy_graph *g) { return g->node_count; }
size_t sy_graph_param_count(const struct sy_graph *g) { return g->param_count; }
size_t sy_graph_pack_count(const struct sy_graph *g) { return g->pack_count; }
enum sy_dtype sy_graph_storage(const struct sy_graph *g) { return g->t; }
uint32_t sy_graph_tile_rows(const struct sy_graph *g) { return g->tile_rows; }
sy_tid sy_graph_step_constants(const struct sy_graph *g) { return g->step_constants; }
uint32_t sy_graph_slices(const struct sy_graph *g) { return g->slices; }
uint32_t sy_graph_micro_count(const struct sy_graph *g) { return g->micro_count; }

const struct sy_node *sy_graph_node(const struct sy_graph *g, size_t i)
{
    assert(i < g->node_count);
    return &g->nodes[i];
}

const struct sy_param *sy_graph_param_at(const struct sy_graph *g, size_t i)
{
    assert(i < g->param_count);
    return &g->params[i];
}

const struct sy_pack *sy_graph_pack(const struct sy_graph *g, size_t i)
{
    assert(i < g->pack_count);
    return &g->packs[i];
}

void *sy_graph_grow(struct sy_graph *g, void *array, size_t count, size_t *room, size_t element)
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
    struct sy_tensor *tensors = sy_graph_grow(g, g->tensors, g->tensor_count, &g->tensor_room, sizeof *tensors);
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
    return (sy_tid)g->tensor_count++;
}

sy_tid sy_tensor_view(struct sy_graph *g, sy_tid parent, uint64_t at, uint64_t d0, uint64_t d1, uint64_t d2,
                      const char *name)
{
    const struct sy_tensor whole = *sy_graph_tensor(g, parent);
    const sy_tid t = sy_tensor_new(g, whole.kind, whole.dtype, d0, d1, d2, name);
    if (t == SY_NONE)
        return t;
    assert(at % SY_PACK_ALIGN == 0 && whole.parent == SY_NONE && whole.pieces == SY_NONE);
    g->tensors[t].parent = parent;
    g->tensors[t].at = at;
    return t;
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

bool sy_graph_overlap(const struct sy_graph *g, sy_tid a, sy_tid b)
{
    const struct sy_tensor *x = sy_graph_tensor(g, a), *y = sy_graph_tensor(g, b);
    const sy_tid whole = x->whole != SY_NONE ? x->whole : a, other = y->whole != SY_NONE ? y->whole : b;
    const sy_tid of = x->parent != SY_NONE ? x->parent : whole, and = y->parent != SY_NONE ? y->parent : other;
    if (a == SY_NONE || b == SY_NONE || of != and)
        return false;
    if (x->parent == SY_NONE || y->parent == SY_NONE)
        return true;
    return x->at < y->at + y->count && y->at < x->at + x->count;
}

struct sy_node *sy_emit(struct sy_graph *g, enum sy_op_id op, const void *args, const sy_tid *bind)
{
    const struct sy_op_info *info = sy_op_info(op);
    struct sy_node *nodes = sy_graph_grow(g, g->nodes, g->node_count, &g->node_room, sizeof *nodes), *n = &g->spare;
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
            n->bind[i] = g->step_constants;
    snprintf(n->label, sizeof n->label, "%s%s%.60s", info->name, g->scope[0] != '\0' ? " " : "", g->scope);
    n->types = types_of(g, info, n->bind);
    if (n->types == 0 && g->status == SY_OK)
        g->status = sy_fail(g->ctx, SY_INTERNAL, "%s: op %s has no variant for the element types it was given",
                            g->scope, info->name);
    check_sizes(g, info, args, n->bind);
    return n;
}

void sy_tensor_extend(struct sy_graph *g, sy_tid t, uint64_t count)
{
    if (t != SY_NONE)
        g->tensors[t].count = g->tensors[t].shape[0] = count;
}

uint64_t sy_pack_reserve(struct sy_pack *pack, uint64_t count)
{
    const uint64_t at = pack->count;
    pack->count += (count + SY_PACK_ALIGN - 1) / SY_PACK_ALIGN * SY_PACK_ALIGN;
    return at;
}

sy_tid sy_pack_tensor(struct sy_graph *g, uint32_t pack, sy_tid whole, uint64_t at, uint64_t d0, uint64_t d1,
                      uint64_t d2, const char *name)
{
    const uint64_t each = g->packs[pack].each;
    sy_tensor_extend(g, whole, g->packs[pack].count);
    if (each == 0)
        return sy_tensor_view(g, whole, at, d0, d1, d2, name);
    struct sy_tensor *x = &g->tensors[whole];
    snprintf(x->name, sizeof x->name, "%s%s", name[0] == '.' ? g->scope : "", name);
    x->shape[0] = d0;
    x->shape[1] = d1;
    x->shape[2] = d2;
    if (x->pieces == SY_NONE)
        sy_pieces_cut(g, whole, 1, each, each);
    return whole;
}

uint32_t sy_pack_new(struct sy_graph *g, uint32_t flags)
{
    struct sy_pack *packs = sy_graph_grow(g, g->packs, g->pack_count, &g->pack_room, sizeof *packs);
    if (packs == NULL)
        return 0;
    g->packs = packs;
    const uint32_t sources = (flags & SY_PARAM_EXPERT) != 0 ? sy_layout_sources(g->ranks) : 1;
    packs[g->pack_count] =
        (struct sy_pack){.flags = flags, .sources = sources, .kept = g->micro_count > 1 ? sources : 1};
    return (uint32_t)g->pack_count++;
}

/// What a parameter can be cut into: experts; blocks of rows (of the optimizer's, too) where those of two matrices do
/// not mix; else matrices.
static uint64_t unit_of(uint32_t parts, uint32_t rows, uint32_t cols, uint32_t flags)
{
    const uint64_t matrix = (uint64_t)rows * cols;
    if ((flags & SY_PARAM_EXPERT) != 0)
        return (flags & SY_PARAM_PAIRS) != 0 ? 2 * matrix : matrix;
    return parts == 1 || rows % SY_MATRIX_ROWS == 0 ? (uint64_t)SY_MATRIX_ROWS * cols : matrix;
}

/// The pack with these flags that has room for `count` more elements: the newest one, or a new one, which gets the name
/// of its first parameter.
static uint32_t pack_for(struct sy_graph *g, uint32_t flags, uint64_t count, const char *name)
{
    const uint64_t bound =
        g->max_binding_bytes != 0 ? sy_most_elements(g, g->f) : ((uint64_t)1 << 30) / sy_dtype_bytes(g->f);
    const uint64_t most = bound / ((flags & SY_PARAM_EXPERT) != 0 ? sy_layout_sources(g->ranks) : 1); // sums by source
    for (size_t i = g->pack_count; i-- > 0;)
        if (g->packs[i].flags == flags) {
            if (g->packs[i].count + count <= most)
                return (uint32_t)i;
            break;
        }
    const uint32_t pack = sy_pack_new(g, flags);
    if (g->status == SY_OK)
        g->packs[pack].master = sy_tensor_new(g, SY_KIND_PARAM, g->f, 0, 1, 1, name);
    return pack;
}

sy_tid sy_param_new(struct sy_graph *g, uint32_t parts, uint32_t rows, uint32_t cols, const char (*names)[112],
                    enum sy_init init, float sigma, uint32_t flags)
{
    struct sy_param *params = sy_graph_grow(g, g->params, g->param_count, &g->param_room, sizeof *params);
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
    const uint64_t count = (uint64_t)parts * rows * cols;
    p->pack = pack_for(g, flags & SY_PARAM_EXPERT, count, names[0]);
    if (g->status != SY_OK)
        return SY_NONE;
    struct sy_pack *pack = &g->packs[p->pack];
    const uint64_t each = sy_piece_columns(g, g->f, 1, count, unit_of(parts, rows, cols, flags));
    pack->each = each < count ? each : 0;
    p->at = pack->each == 0 ? sy_pack_reserve(pack, count) : 0;
    pack->count = pack->each == 0 ? pack->count : count;
    p->master = sy_pack_tensor(g, p->pack, pack->master, p->at, parts, rows, cols, names[0]);
    sy_tensor_extend(g, pack->weight, pack->count); // also where this one has its own
    bool wide = (flags & SY_PARAM_WIDE) != 0, shared = g->t == g->f || (wide && g->precision != SY_PRECISION_BF16);
    if (shared) {
        p->weight = p->master;
    } else if (wide) {
        p->weight = sy_tensor_new(g, SY_KIND_WEIGHT, g->f, parts, rows, cols, names[0]);
    } else {
        if (pack->weight == SY_NONE)
            pack->weight = sy_tensor_new(g, SY_KIND_WEIGHT, g->t, 0, 1, 1, "weights");
        p->weight = sy_pack_tensor(g, p->pack, pack->weight, p->at, parts, rows, cols, names[0]);
    }
    return p->weight;
}

struct sy_param *sy_graph_param(const struct sy_graph *g, sy_tid weight)
{
    for (size_t i = 0; i < g->param_count; ++i)
        if (g->params[i].weight == weight || g->params[i].master == weight)
            return &g->params[i];
    return NULL;
}

uint32_t sy_param_slices(const struct sy_graph *g, sy_tid weight)
{
    const struct sy_param *p = sy_graph_param(g, weight);
    assert(p != NULL);
    return g->slices * g->packs[p->pack].sources;
}

void sy_graph_foreign(struct sy_graph *g, const char *name, uint32_t place)
{
    struct sy_foreign *list = sy_graph_grow(g, g->foreign, g->foreign_count, &g->foreign_room, sizeof *list);
    if (list == NULL)
        return;
    g->foreign = list;
    snprintf(list[g->foreign_count].name, sizeof list->name, "%s", name);
    list[g->foreign_count++].place = place;
}

sy_tid sy_graph_prepared(const struct sy_graph *g, sy_tid weight, const struct sy_before *before)
{
    for (size_t i = 0; i < g->prepared_count; ++i) {
        const struct sy_prepared *p = &g->prepared[i];
        if (p->source == weight && sy_before_same(&p->before, before))
            return p->copy;
    }
    return SY_NONE;
}

uint64_t sy_graph_prepared_bytes(const struct sy_graph *g, sy_tid weight)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < g->prepared_count; ++i) {
        const sy_tid source = g->prepared[i].source;
        if (source == weight || g->tensors[source].whole == weight)
            bytes += sy_tensor_bytes(&g->tensors[g->prepared[i].copy]);
    }
    return bytes;
}

sy_tid sy_param_grad(struct sy_graph *g, sy_tid weight, bool *first)
{
    struct sy_param *p = sy_graph_param(g, weight);
    assert(p != NULL);
    *first = p->grad_writes++ == 0;
    if (*first) {
        char name[112];
        snprintf(name, sizeof name, "grad.%.100s", p->names[0]);
        p->grad = sy_sum_place(g, p->pack, p->at, SY_KIND_GRAD, p->parts, p->rows, p->cols,
                               unit_of(p->parts, p->rows, p->cols, p->flags), name);
    }
    return p->grad.part;
}

void sy_graph_refresh(struct sy_graph *g)
{
    const uint32_t before = g->phase;
    if (g->borrows)
        return;
    g->phase = SY_PHASE_REFRESH;
    for (size_t i = 0; i < g->pack_count; ++i) {
        const struct sy_cast_args args = {.n = (u32)g->packs[i].count};
        if (g->packs[i].weight != SY_NONE)
            SY_EMIT(g, cast, &args, g->packs[i].master, g->packs[i].weight);
    }
    for (size_t i = 0; i < g->param_count; ++i) {
        const struct sy_param *p = &g->params[i];
        if (p->weight == p->master || (p->flags & SY_PARAM_WIDE) == 0)
            continue; // rounded to bf16, read as f32
        const struct sy_cast_args args = {.n = (u32)g->tensors[p->master].count};
        const struct sy_router_input_args back = {.rows = p->parts * p->rows, .dim = p->cols, .scale = 1.0f};
        sy_tid narrow = sy_act_t(g, (uint64_t)p->parts * p->rows, p->cols, "rounded");
        SY_EMIT(g, cast, &args, p->master, narrow);
        SY_EMIT(g, router_input, &back, narrow, SY_NONE, SY_NONE, p->weight);
    }
    g->phase = before;
}
