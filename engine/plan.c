// SPDX-License-Identifier: Apache-2.0
#include "engine/plan.h"

#include <stdlib.h>
#include <string.h>

#include "engine/graph_private.h"

const char *sy_arena_name(enum sy_arena arena)
{
    static const char *const names[SY_ARENA_COUNT] = {"parameters", "weights (bf16)", "prepared weights",  "gradients",
                                                      "optimizer",  "activations",    "inputs and results"};
    return names[arena];
}

enum sy_arena sy_arena_of(enum sy_tensor_kind kind)
{
    switch (kind) {
    case SY_KIND_PARAM: return SY_ARENA_PARAMS;
    case SY_KIND_WEIGHT: return SY_ARENA_WEIGHTS;
    case SY_KIND_PREPARED: return SY_ARENA_PREPARED;
    case SY_KIND_GRAD: return SY_ARENA_GRADS;
    case SY_KIND_STATE: return SY_ARENA_STATE;
    case SY_KIND_ACTIVATION: return SY_ARENA_ACTIVATIONS;
    default: return SY_ARENA_IO;
    }
}

static uint64_t align_up(uint64_t bytes, uint64_t align) { return (bytes + align - 1) / align * align; }

uint64_t sy_plan_bytes(const struct sy_tensor *x)
{
    const uint64_t bytes = sy_tensor_bytes(x);
    return bytes < 64 ? 64 : align_up(bytes, 4);
}

static void lifetimes(struct sy_graph *g)
{
    for (size_t i = 0; i < g->tensor_count; ++i)
        g->tensors[i].first = g->tensors[i].last = -1;
    for (size_t i = 0; i < g->node_count; ++i) {
        const struct sy_node *n = &g->nodes[i];
        const struct sy_op_info *info = sy_op_info(n->op);
        for (uint32_t b = 0; b < info->binding_count; ++b) {
            const sy_tid parent = g->tensors[n->bind[b]].parent; // a view lives with its whole
            struct sy_tensor *x = &g->tensors[parent != SY_NONE ? parent : n->bind[b]];
            if (x->first < 0)
                x->first = (int32_t)i;
            x->last = (int32_t)i;
        }
    }
}

/// Whether it needs a place.
static bool is_used(const struct sy_tensor *x)
{
    return x->pieces == SY_NONE && (x->kind != SY_KIND_ACTIVATION || x->first >= 0);
}

static uint32_t block_new(struct sy_plan *plan, enum sy_arena arena)
{
    struct sy_block *bigger = realloc(plan->blocks, (plan->block_count + 1) * sizeof *bigger);
    if (bigger == NULL)
        return UINT32_MAX;
    plan->blocks = bigger;
    plan->blocks[plan->block_count] = (struct sy_block){.arena = arena};
    return (uint32_t)plan->block_count++;
}

/// Tensors that live for ever: one after the other.
static enum sy_status place_lasting(struct sy_graph *g, struct sy_plan *plan, enum sy_arena arena,
                                    const struct sy_limits *l)
{
    uint32_t block = UINT32_MAX;
    for (size_t i = 0; i < g->tensor_count; ++i) {
        struct sy_tensor *x = &g->tensors[i];
        if (sy_arena_of(x->kind) != arena || x->parent != SY_NONE || x->pieces != SY_NONE)
            continue;
        uint64_t bytes = sy_plan_bytes(x);
        if (block == UINT32_MAX || align_up(plan->blocks[block].bytes, l->align) + bytes > l->max_block_bytes)
            block = block_new(plan, arena);
        if (block == UINT32_MAX)
            return sy_fail(g->ctx, SY_NOMEM, "out of host memory while planning");
        x->block = block;
        x->offset = align_up(plan->blocks[block].bytes, l->align);
        plan->blocks[block].bytes = x->offset + bytes;
    }
    return SY_OK;
}

static int by_size(const void *left, const void *right)
{
    const struct sy_tensor *a = *(struct sy_tensor *const *)left, *b = *(struct sy_tensor *const *)right;
    uint64_t x = sy_plan_bytes(a), y = sy_plan_bytes(b);
    if (x != y)
        return x < y ? 1 : -1;
    return a->first != b->first ? (a->first > b->first) - (a->first < b->first) : (a > b) - (a < b);
}

/// Lowest offset in a block of at most `room` bytes where `x` meets no placed tensor alive at the same time; UINT64_MAX
/// when it does not fit. `placed` holds the block's tensors by ascending offset.
static uint64_t lowest_offset(const struct sy_tensor *x, struct sy_tensor *const *placed, size_t count, uint64_t room,
                              const struct sy_limits *l)
{
    uint64_t offset = 0, bytes = sy_plan_bytes(x);
    for (size_t i = 0; i < count; ++i) {
        const struct sy_tensor *y = placed[i];
        if (y->last < x->first || y->first > x->last)
            continue;
        if (offset + bytes <= y->offset)
            break;
        uint64_t end = align_up(y->offset + sy_plan_bytes(y), l->align);
        offset = end > offset ? end : offset;
    }
    return offset + bytes <= room || count == 0 ? offset : UINT64_MAX;
}

static void insert_by_offset(struct sy_tensor **placed, size_t count, struct sy_tensor *x)
{
    size_t i = count;
    for (; i > 0 && placed[i - 1]->offset > x->offset; --i)
        placed[i] = placed[i - 1];
    placed[i] = x;
}

static enum sy_status place_activations(struct sy_graph *g, struct sy_plan *plan, const struct sy_limits *l)
{
    struct sy_tensor **order = calloc(g->tensor_count, sizeof(struct sy_tensor *));
    struct sy_tensor **placed = calloc(g->tensor_count, sizeof(struct sy_tensor *));
    enum sy_status status = SY_OK;
    size_t count = 0;
    if (order == NULL || placed == NULL) {
        status = sy_fail(g->ctx, SY_NOMEM, "out of host memory while planning");
        goto out;
    }
    for (size_t i = 0; i < g->tensor_count; ++i)
        if (g->tensors[i].kind == SY_KIND_ACTIVATION && is_used(&g->tensors[i]) && g->tensors[i].parent == SY_NONE)
            order[count++] = &g->tensors[i];
    qsort(order, count, sizeof(struct sy_tensor *), by_size);
    // One block after the other takes whatever fits; most devices need a single one.
    for (size_t left = count; left > 0;) {
        uint32_t block = block_new(plan, SY_ARENA_ACTIVATIONS);
        if (block == UINT32_MAX) {
            status = sy_fail(g->ctx, SY_NOMEM, "out of host memory while planning");
            goto out;
        }
        size_t in_block = 0, kept = 0;
        for (size_t i = 0; i < left; ++i) {
            struct sy_tensor *x = order[i];
            // A tensor too large for a usual block makes one of its size, which others of its kind share.
            const uint64_t made = plan->blocks[block].bytes, usual = l->max_block_bytes;
            uint64_t offset = lowest_offset(x, placed, in_block, made > usual ? made : usual, l);
            if (offset == UINT64_MAX) {
                order[kept++] = x;
                continue;
            }
            x->block = block;
            x->offset = offset;
            insert_by_offset(placed, in_block++, x);
            uint64_t end = offset + sy_plan_bytes(x);
            if (end > plan->blocks[block].bytes)
                plan->blocks[block].bytes = end;
        }
        left = kept;
    }
out:
    free(order);
    free(placed);
    return status;
}

static void place_view(const struct sy_graph *g, struct sy_tensor *x)
{
    const struct sy_tensor *whole = &g->tensors[x->parent];
    if (x->parent == SY_NONE)
        return;
    x->block = whole->block;
    x->offset = whole->offset + x->at * sy_dtype_bytes(x->dtype);
    x->first = whole->first;
    x->last = whole->last;
}

/// Kernels count and index elements with 32 bits; what is bound is no larger than the device binds.
static enum sy_status check_sizes(const struct sy_graph *g, const struct sy_limits *l)
{
    for (size_t i = 0; i < g->tensor_count; ++i) {
        const struct sy_tensor *x = &g->tensors[i];
        const char *what = x->whole != SY_NONE ? g->tensors[x->whole].name : x->name;
        if (!is_used(x))
            continue;
        if (l->max_binding_bytes != 0 && sy_plan_bytes(x) > l->max_binding_bytes)
            return sy_fail(g->ctx, SY_INVALID,
                           "tensor %s needs %llu bytes in one binding but the device binds at most %llu, and it cannot "
                           "be bound in smaller parts: use a smaller --batch-tokens or model, or another device",
                           what, (unsigned long long)sy_plan_bytes(x), (unsigned long long)l->max_binding_bytes);
        if (x->count > UINT32_MAX)
            return sy_fail(
                g->ctx, SY_UNSUPPORTED,
                "tensor %s has %llu elements, cannot be bound in parts, and kernels index with 32 bits: use a "
                "smaller batch or model",
                what, (unsigned long long)x->count);
    }
    return SY_OK;
}

enum sy_status sy_plan_create(struct sy_graph *g, const struct sy_limits *limits, struct sy_plan *out)
{
    SY_TRY(sy_graph_status(g));
    memset(out, 0, sizeof *out);
    struct sy_limits l = *limits;
    l.max_block_bytes = l.max_block_bytes != 0 ? l.max_block_bytes : (uint64_t)1 << 30;
    l.align = l.align != 0 ? l.align : 256;
    lifetimes(g);
    SY_TRY(check_sizes(g, &l));
    for (size_t i = 0; i < g->tensor_count; ++i)
        if (is_used(&g->tensors[i]) && sy_plan_bytes(&g->tensors[i]) > sy_plan_bytes(&g->tensors[out->largest]))
            out->largest = (sy_tid)i;
    enum sy_status status = SY_OK;
    const int own = l.borrow_state ? SY_ARENA_ACTIVATIONS : l.borrow_params ? SY_ARENA_GRADS : 0;
    for (int a = own; a < SY_ARENA_COUNT && status == SY_OK; ++a)
        status =
            a == SY_ARENA_ACTIVATIONS ? place_activations(g, out, &l) : place_lasting(g, out, (enum sy_arena)a, &l);
    if (status != SY_OK) {
        sy_plan_finish(out);
        return status;
    }
    for (size_t i = 0; i < g->tensor_count; ++i)
        place_view(g, &g->tensors[i]);
    for (size_t i = 0; i < out->block_count; ++i) {
        out->arena_bytes[out->blocks[i].arena] += out->blocks[i].bytes;
        out->total_bytes += out->blocks[i].bytes;
    }
    return SY_OK;
}

void sy_plan_finish(struct sy_plan *plan)
{
    free(plan->blocks);
    memset(plan, 0, sizeof *plan);
}
