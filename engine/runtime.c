// SPDX-License-Identifier: Apache-2.0
#include "engine/runtime_private.h"

#include "engine/pieces.h"
#include "engine/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum sy_status allocate(struct sy_runtime *rt)
{
    struct sy_ctx *ctx = rt->graph->ctx;
    const struct sy_caps *caps = sy_device_caps(rt->device);
    const struct sy_tensor *big = &rt->graph->tensors[rt->plan.largest];
    if (caps->memory_bytes != 0 && rt->plan.total_bytes > caps->memory_bytes)
        return sy_fail(ctx, SY_NOMEM,
                       "%s: the plan needs %.1f MiB but the device has %.1f MiB of memory (%s); the largest tensor is "
                       "%s (%.1f MiB). Use a smaller --micro-batch, --recompute, or another device (switchyard-plan "
                       "shows the bytes)",
                       caps->id, (double)rt->plan.total_bytes / 1048576.0, (double)caps->memory_bytes / 1048576.0,
                       caps->memory_from, big->name, (double)sy_plan_bytes(big) / 1048576.0);
    rt->buffers = calloc(rt->plan.block_count, sizeof(struct sy_buffer *));
    if (rt->buffers == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    for (size_t i = 0; i < rt->plan.block_count; ++i)
        SY_TRY(sy_buffer_create(rt->device, sy_arena_name(rt->plan.blocks[i].arena), rt->plan.blocks[i].bytes,
                                &rt->buffers[i]));
    return SY_OK;
}

/// What is prepared of a parameter, or of a piece of one; `from` is the same in the lender.
static enum sy_status borrow_prepared(struct sy_runtime *rt, const struct sy_runtime *lender, sy_tid to, sy_tid from)
{
    const struct sy_graph *g = rt->graph;
    for (size_t i = 0; i < g->prepared_count; ++i) {
        if (g->prepared[i].source != to)
            continue;
        const sy_tid theirs = sy_graph_prepared(lender->graph, from, &g->prepared[i].before);
        if (theirs == SY_NONE)
            return sy_fail(g->ctx, SY_INVALID, "%s: the lending runtime does not make such a %s of it",
                           sy_graph_tensor(g, to)->name, sy_op_info(g->prepared[i].before.op)->name);
        rt->places[g->prepared[i].copy] = lender->places[theirs];
    }
    return SY_OK;
}

static enum sy_status no_such_parameter(const struct sy_runtime *rt, const char *name)
{
    return sy_fail(rt->graph->ctx, SY_INVALID, "%s: the lending runtime has no such parameter", name);
}

/// A parameter's tensor, or the pieces of it, lives where the lender's does.
static enum sy_status borrow_tensor(struct sy_runtime *rt, const struct sy_runtime *lender, sy_tid to, sy_tid from)
{
    const struct sy_tensor *x = sy_graph_tensor(rt->graph, to), *y = sy_graph_tensor(lender->graph, from);
    const char *name = x->name;
    rt->places[to] = lender->places[from];
    SY_TRY(borrow_prepared(rt, lender, to, from));
    to = x->pieces;
    from = y->pieces;
    for (; to != SY_NONE && from != SY_NONE; to = x->next, from = y->next) {
        x = sy_graph_tensor(rt->graph, to);
        y = sy_graph_tensor(lender->graph, from);
        if (x->count != y->count)
            return no_such_parameter(rt, name);
        rt->places[to] = lender->places[from];
        SY_TRY(borrow_prepared(rt, lender, to, from));
    }
    return to == SY_NONE && from == SY_NONE ? SY_OK : no_such_parameter(rt, name);
}

/// Parameters are matched by name: decoding meets the cross-attention keys in another order.
static enum sy_status borrow(struct sy_runtime *rt, const struct sy_runtime *lender)
{
    const struct sy_graph *g = rt->graph, *from = lender->graph;
    for (size_t i = 0; i < g->param_count; ++i) {
        const struct sy_param *p = &g->params[i], *q = NULL;
        for (size_t k = 0; k < from->param_count && q == NULL; ++k)
            if (strcmp(from->params[k].names[0], p->names[0]) == 0)
                q = &from->params[k];
        if (q == NULL || q->parts != p->parts || q->rows != p->rows || q->cols != p->cols)
            return no_such_parameter(rt, p->names[0]);
        SY_TRY(borrow_tensor(rt, lender, p->master, q->master));
        SY_TRY(borrow_tensor(rt, lender, p->weight, q->weight));
    }
    return SY_OK;
}

static bool of_model(const struct sy_tensor *x) { return sy_arena_of(x->kind) < SY_ARENA_ACTIVATIONS; }

/// All that one training graph keeps from step to step lives where the other's does: both declare the same, in the same
/// order, whatever the shape of their batches.
static enum sy_status share(struct sy_runtime *rt, const struct sy_runtime *lender)
{
    const struct sy_graph *g = rt->graph, *from = lender->graph;
    size_t k = 0;
    for (size_t i = 0; i < g->tensor_count; ++i) {
        if (!of_model(&g->tensors[i]))
            continue;
        while (k < from->tensor_count && !of_model(&from->tensors[k]))
            ++k;
        const struct sy_tensor *x = &g->tensors[i], *y = k < from->tensor_count ? &from->tensors[k] : NULL;
        if (y == NULL || x->kind != y->kind || x->dtype != y->dtype || x->count != y->count)
            return sy_fail(g->ctx, SY_INVALID, "%s: the lending runtime keeps no such tensor: %s", x->name,
                           y != NULL ? y->name : "it has fewer");
        rt->places[i] = lender->places[k++];
    }
    while (k < from->tensor_count && !of_model(&from->tensors[k]))
        ++k;
    return k == from->tensor_count
               ? SY_OK
               : sy_fail(g->ctx, SY_INVALID, "the lending runtime keeps %s, this one does not", from->tensors[k].name);
}

static enum sy_status place_tensors(struct sy_runtime *rt, const struct sy_runtime *lender)
{
    const struct sy_graph *g = rt->graph;
    rt->places = calloc(g->tensor_count, sizeof *rt->places);
    if (rt->places == NULL)
        return sy_fail(g->ctx, SY_NOMEM, "out of host memory");
    for (size_t i = 0; i < g->tensor_count; ++i) {
        const struct sy_tensor *x = &g->tensors[i];
        bool borrowed = lender != NULL && (x->kind == SY_KIND_PARAM || x->kind == SY_KIND_WEIGHT ||
                                           x->kind == SY_KIND_PREPARED || (!g->borrows && of_model(x)));
        bool unused = (x->kind == SY_KIND_ACTIVATION && x->first < 0) || x->pieces != SY_NONE;
        if (!borrowed && !unused)
            rt->places[i] = (struct sy_binding){
                .buffer = rt->buffers[x->block], .offset_bytes = x->offset, .bytes = sy_plan_bytes(x)};
    }
    if (lender != NULL)
        SY_TRY(g->borrows ? borrow(rt, lender) : share(rt, lender));
    for (size_t i = 0; i < g->tensor_count; ++i) {
        const struct sy_tensor *x = &g->tensors[i];
        if (x->kind == SY_KIND_CONST)
            SY_TRY(sy_runtime_write(rt, (sy_tid)i, x->data, sy_tensor_bytes(x)));
    }
    return SY_OK;
}

enum { CHOICES = 1 + SY_MAX_SETTINGS, SLOTS = SY_VARIANT_COUNT * 16 * CHOICES };

static size_t kernel_slot(const struct sy_node *n)
{
    assert(n->variant != NULL); // sy_lower() chose one
    return ((size_t)sy_variant_index(n->variant) * 16 + n->types) * CHOICES + n->choice;
}

/// Every kernel that a node runs, once.
static enum sy_status compile_all(struct sy_runtime *rt)
{
    const struct sy_graph *g = rt->graph;
    const size_t most = g->node_count + 1;
    struct sy_kernel_params *params = calloc(most, sizeof *params);
    struct sy_kernel **made = calloc(most, sizeof(struct sy_kernel *));
    size_t *slot_of = calloc(most, sizeof *slot_of), count = 0;
    bool *wanted = calloc(SLOTS, sizeof *wanted);
    enum sy_status status = SY_OK;
    if (params == NULL || made == NULL || slot_of == NULL || wanted == NULL)
        status = sy_fail(g->ctx, SY_NOMEM, "out of host memory");
    for (size_t i = 0; status == SY_OK && i < g->node_count; ++i) {
        const struct sy_node *n = &g->nodes[i];
        if (sy_op_is_message(n->op) || wanted[kernel_slot(n)] || rt->kernels[kernel_slot(n)] != NULL)
            continue;
        wanted[kernel_slot(n)] = true;
        sy_variant_kernel_params(n->variant, n->types, n->choice, sy_device_caps(rt->device), &params[count]);
        slot_of[count++] = kernel_slot(n);
    }
    if (status == SY_OK)
        status = sy_kernels_create(rt->device, params, count, made);
    for (size_t i = 0; status == SY_OK && i < count; ++i)
        rt->kernels[slot_of[i]] = made[i];
    free(wanted);
    free(slot_of);
    free(made);
    free(params);
    return status;
}

/// All that would be launched like `n` are launched as usual from now on.
static void launch_as_usual(struct sy_graph *g, const struct sy_node *n)
{
    const size_t slot = kernel_slot(n);
    for (size_t i = 0; i < g->node_count; ++i)
        if (!sy_op_is_message(g->nodes[i].op) && kernel_slot(&g->nodes[i]) == slot)
            g->nodes[i].choice = 0;
}

static void substitute(struct sy_graph *g, const struct sy_variant *refused, enum sy_op_types types,
                       const struct sy_variant *instead)
{
    for (size_t i = 0; i < g->node_count; ++i)
        if (g->nodes[i].variant == refused && g->nodes[i].types == types) {
            g->nodes[i].variant = instead;
            g->nodes[i].choice = 0;
        }
}

/// The node's kernel. Where the device's compiler refuses it, what can run instead takes the variant's place, with a
/// word about it. False when there is none.
static bool compile_or_substitute(struct sy_runtime *rt, const struct sy_node *n)
{
    struct sy_ctx *ctx = rt->graph->ctx;
    const struct sy_caps *caps = sy_device_caps(rt->device);
    while (rt->kernels[kernel_slot(n)] == NULL) {
        const struct sy_variant *refused = n->variant, *instead = NULL;
        struct sy_kernel_params params;
        char why[400];
        sy_variant_kernel_params(refused, n->types, n->choice, caps, &params);
        if (sy_kernel_create(rt->device, &params, &rt->kernels[kernel_slot(n)]) == SY_OK)
            break;
        if (n->choice != 0) {
            launch_as_usual(rt->graph, n);
            continue;
        }
        snprintf(why, sizeof why, "%s", sy_error(ctx));
        if (sy_variant_instead(ctx, refused, n->types, caps, &instead) != SY_OK)
            return false;
        substitute(rt->graph, refused, n->types, instead);
        sy_log(ctx, SY_LOG_WARN, "%s runs as %s, not as %s: %s", sy_op_info(n->op)->name, instead->name, refused->name,
               why);
    }
    return true;
}

/// A variant that does not compile is no reason to stop where another can do its work: all at once, or else one by one.
static enum sy_status compile_kernels(struct sy_runtime *rt)
{
    const struct sy_graph *g = rt->graph;
    sy_ctx_attempt(g->ctx, true);
    bool good = compile_all(rt) == SY_OK;
    if (!good) {
        good = true;
        for (size_t i = 0; i < g->node_count && good; ++i)
            good = sy_op_is_message(g->nodes[i].op) || compile_or_substitute(rt, &g->nodes[i]);
    }
    sy_ctx_attempt(g->ctx, false);
    return good ? SY_OK : compile_all(rt); // which says what is wrong
}

static void fill_dispatch(const struct sy_runtime *rt, const struct sy_node *n, struct sy_dispatch *d)
{
    const struct sy_op_info *info = sy_op_info(n->op);
    memset(d, 0, sizeof *d);
    d->kernel = rt->kernels[kernel_slot(n)];
    memcpy(d->args, n->args, info->args_bytes);
    for (uint32_t b = 0; b < info->binding_count; ++b)
        d->bindings[b] = rt->places[n->bind[b]];
    d->groups = sy_variant_groups(n->variant, n->choice, n->args, sy_device_caps(rt->device));
    d->write_mask = info->write_mask;
    d->label = n->label;
    d->flops = info->impl->flops(n->args);
}

static enum sy_status record(struct sy_runtime *rt, size_t leg)
{
    static const char *const names[] = {"encode", "micro-batch", "update", "refresh", "merge"};
    const struct sy_graph *g = rt->graph;
    const struct sy_leg *p = &rt->legs.list[leg];
    const uint32_t phase = p->phase;
    if (p->kind != SY_LEG_PROGRAM)
        return SY_OK;
    struct sy_dispatch *list = calloc(p->end - p->first + 1, sizeof *list);
    if (list == NULL)
        return sy_fail(g->ctx, SY_NOMEM, "out of host memory: recording %zu dispatches", g->node_count);
    size_t count = 0;
    for (size_t i = p->first; i < p->end; ++i) {
        if (g->nodes[i].phase != phase)
            continue;
        fill_dispatch(rt, &g->nodes[i], &list[count]);
        count += list[count].groups != 0;
    }
    enum sy_status status = SY_OK;
    if (count != 0)
        status = sy_program_create(rt->device, names[phase < SY_PHASE_MERGE ? phase : SY_PHASE_MERGE], list, count,
                                   &rt->programs[leg]);
    rt->dispatch_count[leg] = count;
    free(list);
    return status;
}

struct sy_limits sy_runtime_limits(const struct sy_caps *caps, bool borrow_params)
{
    uint64_t block = caps->max_alloc_bytes < ((uint64_t)1 << 30) ? caps->max_alloc_bytes : (uint64_t)1 << 30;
    return (struct sy_limits){.max_block_bytes = block,
                              .max_binding_bytes = caps->max_binding_bytes,
                              .align = caps->offset_align,
                              .borrow_params = borrow_params};
}

enum sy_status sy_runtime_create(struct sy_device *device, struct sy_graph *graph, const struct sy_runtime *lender,
                                 struct sy_runtime **out)
{
    struct sy_runtime *rt = calloc(1, sizeof *rt);
    if (rt == NULL)
        return sy_fail(graph->ctx, SY_NOMEM, "out of host memory: a runtime");
    rt->device = device;
    rt->graph = graph;
    sy_tune_apply(graph, sy_device_caps(device));
    struct sy_limits limits = sy_runtime_limits(sy_device_caps(device), lender != NULL);
    limits.borrow_state = lender != NULL && !graph->borrows;
    enum sy_status status = sy_plan_create(graph, &limits, &rt->plan);
    if (status == SY_OK)
        status = sy_legs_create(graph, &rt->legs);
    rt->kernels = calloc(SLOTS, sizeof(struct sy_kernel *));
    rt->programs = calloc(rt->legs.count + 1, sizeof(struct sy_program *));
    rt->dispatch_count = calloc(rt->legs.count + 1, sizeof *rt->dispatch_count);
    if (status == SY_OK && (rt->kernels == NULL || rt->programs == NULL || rt->dispatch_count == NULL))
        status = sy_fail(graph->ctx, SY_NOMEM, "out of host memory");
    if (status == SY_OK)
        status = allocate(rt);
    if (status == SY_OK)
        status = place_tensors(rt, lender);
    if (status == SY_OK)
        status = compile_kernels(rt);
    for (size_t p = 0; p < rt->legs.count && status == SY_OK; ++p)
        status = record(rt, p);
    if (status == SY_OK)
        *out = rt;
    else
        sy_runtime_destroy(&rt);
    return status;
}

void sy_runtime_destroy(struct sy_runtime **runtime)
{
    struct sy_runtime *rt = *runtime;
    if (rt == NULL)
        return;
    for (size_t p = 0; rt->programs != NULL && p < rt->legs.count; ++p)
        sy_program_destroy(&rt->programs[p]);
    sy_legs_finish(&rt->legs);
    for (size_t i = 0; rt->kernels != NULL && i < SLOTS; ++i)
        sy_kernel_destroy(&rt->kernels[i]);
    for (size_t i = 0; rt->buffers != NULL && i < rt->plan.block_count; ++i)
        sy_buffer_destroy(&rt->buffers[i]);
    free(rt->programs);
    free(rt->dispatch_count);
    free(rt->kernels);
    free(rt->buffers);
    free(rt->places);
    sy_plan_finish(&rt->plan);
    free(rt);
    *runtime = NULL;
}

struct sy_device *sy_runtime_device(const struct sy_runtime *rt) { return rt->device; }
const struct sy_graph *sy_runtime_graph(const struct sy_runtime *rt) { return rt->graph; }
const struct sy_plan *sy_runtime_plan(const struct sy_runtime *rt) { return &rt->plan; }

size_t sy_runtime_kernel_count(const struct sy_runtime *rt)
{
    size_t count = 0;
    for (size_t i = 0; i < SLOTS; ++i)
        count += rt->kernels[i] != NULL;
    return count;
}

size_t sy_runtime_dispatches(const struct sy_runtime *rt, uint32_t phase)
{
    assert(phase < rt->graph->phase_count);
    size_t count = 0;
    for (size_t p = rt->legs.first[phase]; p < rt->legs.first[phase + 1]; ++p)
        count += rt->dispatch_count[p];
    return count;
}

size_t sy_runtime_dispatches_all(const struct sy_runtime *rt)
{
    size_t count = 0;
    for (size_t p = 0; p < rt->legs.count; ++p)
        count += rt->dispatch_count[p];
    return count;
}

struct sy_program *sy_runtime_program(const struct sy_runtime *rt, uint32_t phase)
{
    assert(phase < rt->graph->phase_count && rt->legs.first[phase] + 1 == rt->legs.first[phase + 1]);
    return rt->programs[rt->legs.first[phase]];
}

struct sy_program *sy_runtime_leg(const struct sy_runtime *rt, size_t leg, size_t *out_dispatches)
{
    *out_dispatches = rt->dispatch_count[leg];
    return rt->programs[leg];
}

enum sy_status sy_runtime_run(struct sy_runtime *rt, uint32_t phase)
{
    assert(phase < rt->graph->phase_count);
    for (size_t p = rt->legs.first[phase]; p < rt->legs.first[phase + 1]; ++p)
        if (rt->legs.list[p].kind != SY_LEG_ARRIVAL) // of what is under way only behind an update
            SY_TRY(sy_runtime_run_leg(rt, p));
    return SY_OK;
}

enum sy_status sy_runtime_run_leg(struct sy_runtime *rt, size_t leg)
{
    assert(leg < rt->legs.count && rt->legs.list[leg].kind == SY_LEG_PROGRAM);
    return rt->programs[leg] == NULL ? SY_OK : sy_program_submit(rt->programs[leg]);
}

/// One stretch of a tensor's elements that lies in one place.
struct stretch {
    struct sy_buffer *buffer;
    uint64_t offset_bytes, count;
};

/// The longest one from element `first` on, `count` elements at most.
static struct stretch stretch_of(const struct sy_runtime *rt, sy_tid t, uint64_t first, uint64_t count)
{
    const struct sy_tensor *x = sy_graph_tensor(rt->graph, t);
    if (x->pieces != SY_NONE) {
        const uint64_t columns = sy_tensor_columns(x), plane = first / columns, column = first % columns;
        t = sy_piece_at(rt->graph, t, column);
        x = sy_graph_tensor(rt->graph, t);
        const uint64_t own = sy_tensor_columns(x), left = own - (column - x->at);
        first = plane * own + column - x->at;
        count = count < left ? count : left;
    }
    assert(first + count <= x->count);
    return (struct stretch){rt->places[t].buffer, rt->places[t].offset_bytes + first * sy_dtype_bytes(x->dtype), count};
}

enum sy_status sy_runtime_write_part(struct sy_runtime *rt, sy_tid t, uint64_t first, uint64_t count,
                                     const void *source)
{
    const uint64_t size = sy_dtype_bytes(sy_graph_tensor(rt->graph, t)->dtype);
    const char *from = source;
    while (count > 0) {
        const struct stretch s = stretch_of(rt, t, first, count);
        SY_TRY(sy_buffer_write(s.buffer, s.offset_bytes, from, s.count * size));
        from += s.count * size;
        first += s.count;
        count -= s.count;
    }
    return SY_OK;
}

enum sy_status sy_runtime_read_part(struct sy_runtime *rt, sy_tid t, uint64_t first, uint64_t count, void *destination)
{
    const uint64_t size = sy_dtype_bytes(sy_graph_tensor(rt->graph, t)->dtype);
    char *to = destination;
    while (count > 0) {
        const struct stretch s = stretch_of(rt, t, first, count);
        SY_TRY(sy_buffer_read(s.buffer, s.offset_bytes, to, s.count * size));
        to += s.count * size;
        first += s.count;
        count -= s.count;
    }
    return SY_OK;
}

enum sy_status sy_runtime_copy_part(struct sy_runtime *rt, sy_tid from, uint64_t from_first, sy_tid to,
                                    uint64_t to_first, uint64_t count)
{
    const uint64_t size = sy_dtype_bytes(sy_graph_tensor(rt->graph, from)->dtype);
    while (count > 0) {
        const struct stretch a = stretch_of(rt, from, from_first, count);
        const struct stretch b = stretch_of(rt, to, to_first, a.count);
        SY_TRY(sy_buffer_copy(a.buffer, a.offset_bytes, b.buffer, b.offset_bytes, b.count * size));
        from_first += b.count;
        to_first += b.count;
        count -= b.count;
    }
    return SY_OK;
}

enum sy_status sy_runtime_read_start(struct sy_runtime *rt, sy_tid t, uint64_t first, uint64_t count, void *destination,
                                     struct sy_event **out)
{
    const struct sy_tensor *x = sy_graph_tensor(rt->graph, t);
    const uint64_t size = sy_dtype_bytes(x->dtype);
    assert(first + count <= x->count);
    return sy_buffer_read_start(rt->places[t].buffer, rt->places[t].offset_bytes + first * size, destination,
                                count * size, out);
}

enum sy_status sy_runtime_write(struct sy_runtime *rt, sy_tid t, const void *source, size_t bytes)
{
    const struct sy_tensor *x = sy_graph_tensor(rt->graph, t);
    assert(bytes == sy_tensor_bytes(x));
    (void)bytes;
    return sy_runtime_write_part(rt, t, 0, x->count, source);
}

enum sy_status sy_runtime_read(struct sy_runtime *rt, sy_tid t, void *destination, size_t bytes)
{
    const struct sy_tensor *x = sy_graph_tensor(rt->graph, t);
    assert(bytes == sy_tensor_bytes(x));
    (void)bytes;
    return sy_runtime_read_part(rt, t, 0, x->count, destination);
}

enum sy_status sy_runtime_read_f32(struct sy_runtime *rt, sy_tid t, uint64_t first, uint64_t count, float *out)
{
    const struct sy_tensor *x = sy_graph_tensor(rt->graph, t);
    if (x->dtype == SY_F32)
        return sy_runtime_read_part(rt, t, first, count, out);
    void *raw = malloc(count * sy_dtype_bytes(x->dtype));
    if (raw == NULL)
        return sy_fail(rt->graph->ctx, SY_NOMEM, "out of host memory: reading %s", x->name);
    enum sy_status status = sy_runtime_read_part(rt, t, first, count, raw);
    for (uint64_t i = 0; status == SY_OK && i < count; ++i)
        out[i] = x->dtype == SY_BF16 ? sy_bf16_to_f32(((uint16_t *)raw)[i]) : (float)((double *)raw)[i];
    free(raw);
    return status;
}

enum sy_status sy_runtime_write_f32(struct sy_runtime *rt, sy_tid t, uint64_t first, uint64_t count,
                                    const float *source)
{
    const struct sy_tensor *x = sy_graph_tensor(rt->graph, t);
    if (x->dtype == SY_F32)
        return sy_runtime_write_part(rt, t, first, count, source);
    void *raw = malloc(count * sy_dtype_bytes(x->dtype));
    if (raw == NULL)
        return sy_fail(rt->graph->ctx, SY_NOMEM, "out of host memory: writing %s", x->name);
    for (uint64_t i = 0; i < count; ++i) {
        if (x->dtype == SY_BF16)
            ((uint16_t *)raw)[i] = sy_f32_to_bf16(source[i]);
        else
            ((double *)raw)[i] = source[i];
    }
    enum sy_status status = sy_runtime_write_part(rt, t, first, count, raw);
    free(raw);
    return status;
}

enum sy_status sy_runtime_zero(struct sy_runtime *rt, sy_tid t)
{
    const sy_tid pieces = sy_graph_tensor(rt->graph, t)->pieces;
    for (sy_tid p = pieces != SY_NONE ? pieces : t; p != SY_NONE; p = sy_graph_tensor(rt->graph, p)->next)
        SY_TRY(sy_buffer_zero(rt->places[p].buffer, rt->places[p].offset_bytes, rt->places[p].bytes));
    return SY_OK;
}
