// SPDX-License-Identifier: Apache-2.0
#include "engine/slices.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/graph_private.h"
#include "engine/message.h"
#include "engine/overlap.h"
#include "engine/pieces.h"
#include "engine/turns.h"

enum { TREE = 8 }; ///< Slices that one tree_sum adds up.

bool sy_slices_merge(const struct sy_graph *g) { return g->slices > 1 || g->micro_count > 1; }

static uint32_t trailing_zeros(uint32_t n) { return (uint32_t)__builtin_ctz(n); }

/// This rank's blocks of micro-batches (turns.h); how many.
static uint32_t blocks_of(const struct sy_graph *g, struct sy_turns out[SY_MAX_BLOCKS])
{
    return sy_turns_own(g->ranks, g->micro_count, out);
}

/// The level that the sum of a block ends up in. Where there is one, it is the step's.
static uint32_t top(const struct sy_graph *g, uint32_t block)
{
    struct sy_turns list[SY_MAX_BLOCKS];
    return blocks_of(g, list) == 1 ? trailing_zeros(g->micro_count) : SY_LEVEL_BLOCKS + block;
}

/// Where the part of a block that starts at its micro-batch `first` is kept: large enough for every one that starts
/// there.
static uint32_t level_of(const struct sy_graph *g, uint32_t block, uint32_t first)
{
    return first == 0 ? top(g, block) : trailing_zeros(first);
}

/// A tensor of all of a pack's sums, [kept, count].
static sy_tid pack_sums(struct sy_graph *g, uint32_t pack, enum sy_tensor_kind kind, const char *name)
{
    const struct sy_pack p = g->packs[pack];
    const sy_tid t = sy_tensor_new(g, kind, g->f, p.kept * p.count, 1, 1, name);
    if (p.each != 0 && t != SY_NONE)
        sy_pieces_cut(g, t, 1, p.each, p.each);
    return t;
}

/// The tensor of a level of a pack, made when first asked for.
static sy_tid level_tensor(struct sy_graph *g, uint32_t pack, uint32_t level, enum sy_tensor_kind kind)
{
    sy_tid *t = &g->packs[pack].levels[level];
    char name[32];
    snprintf(name, sizeof name, "%s.%u", (g->packs[pack].flags & SY_PACK_SUMS) != 0 ? "sums" : "gradients", level);
    if (*t == SY_NONE)
        *t = pack_sums(g, pack, kind, name);
    return *t;
}

/// The tensor of a pack's sums of one of several micro-batches, made when first asked for.
static sy_tid micro_tensor(struct sy_graph *g, uint32_t pack, enum sy_tensor_kind kind)
{
    if (g->packs[pack].micro == SY_NONE)
        g->packs[pack].micro = pack_sums(g, pack, kind, "micro-batch");
    return g->packs[pack].micro;
}

/// The tensor of a pack's sums of all sources, made when first asked for.
static sy_tid apart_tensor(struct sy_graph *g, uint32_t pack, uint32_t block, enum sy_tensor_kind kind)
{
    struct sy_pack *p = &g->packs[pack];
    if (p->apart[block] == SY_NONE)
        p->apart[block] = sy_tensor_new(g, kind, g->f, p->count, 1, 1, "gradients");
    return p->apart[block];
}

/// A sum's place in a tensor of its pack, [kept, n].
static sy_tid place_in(struct sy_graph *g, const struct sy_sum *s, sy_tid whole, const uint64_t shape[3],
                       const char *name)
{
    const uint64_t kept = g->packs[s->pack].kept;
    if (kept > 1)
        return sy_tensor_view(g, whole, kept * s->at, kept * shape[0], shape[1], shape[2], name);
    return sy_pack_tensor(g, s->pack, whole, s->at, shape[0], shape[1], shape[2], name);
}

/// Where ops write the sums of each source and slice, [sources, slices, n]. What is small lies together, where the host
/// can read it; a gradient, which may be large, lives until it is added up.
static sy_tid part_of(struct sy_graph *g, const struct sy_sum *s, enum sy_tensor_kind kind, const uint64_t shape[3],
                      uint64_t unit, const char *name)
{
    struct sy_pack *p = &g->packs[s->pack];
    const uint64_t parts = p->sources * (uint64_t)g->slices, each = p->each != 0 ? p->each : s->count;
    if ((p->flags & SY_PACK_SUMS) != 0) {
        if (p->part == SY_NONE)
            g->packs[s->pack].part = sy_tensor_new(g, kind, g->f, parts * p->count, 1, 1, "slices");
        return sy_tensor_view(g, g->packs[s->pack].part, parts * s->at, parts * shape[0], shape[1], shape[2], name);
    }
    const uint64_t fine = sy_piece_columns(g, g->f, parts, each, unit);
    const sy_tid t = sy_tensor_new(g, kind, g->f, parts * shape[0], shape[1], shape[2], name);
    g->tensors[t].kind = t != SY_NONE ? SY_KIND_ACTIVATION : g->tensors[t].kind;
    if (fine < s->count && t != SY_NONE)
        sy_pieces_cut(g, t, parts, each, fine);
    return t;
}

struct sy_sum sy_sum_place(struct sy_graph *g, uint32_t pack, uint64_t at, enum sy_tensor_kind kind, uint64_t d0,
                           uint64_t d1, uint64_t d2, uint64_t unit, const char *name)
{
    const uint64_t shape[3] = {d0, d1, d2};
    struct sy_sum s = {.pack = pack, .at = at, .count = d0 * d1 * d2};
    const uint32_t kept = g->packs[pack].kept;
    if (kept > 1 && g->packs[pack].each != 0 && g->status == SY_OK)
        g->status = sy_fail(g->ctx, SY_UNSUPPORTED,
                            "%s: with experts spread over ranks and several micro-batches, one tensor of them must fit "
                            "into one binding of the device %u times: spread them over more ranks, or take one "
                            "micro-batch",
                            name, kept);
    s.total = s.last = s.micro = place_in(g, &s, level_tensor(g, pack, top(g, 0), kind), shape, name);
    if (kept > 1)
        s.total = sy_tensor_view(g, apart_tensor(g, pack, 0, kind), at, d0, d1, d2, name);
    if (g->micro_count > 1)
        s.micro = place_in(g, &s, micro_tensor(g, pack, kind), shape, name);
    s.part = g->packs[pack].sources * g->slices == kept ? s.micro : part_of(g, &s, kind, shape, unit, name);
    struct sy_sum *sums = sy_graph_grow(g, g->sums, g->sum_count, &g->sum_room, sizeof *sums);
    if (sums != NULL) {
        g->sums = sums;
        sums[g->sum_count++] = s;
    }
    return s;
}

struct sy_sum sy_sum_new(struct sy_graph *g, uint64_t n, const char *name)
{
    uint32_t pack = sy_sum_pack(g);
    if (pack == g->pack_count)
        pack = sy_pack_new(g, SY_PACK_SUMS);
    if (g->status != SY_OK)
        return (struct sy_sum){0};
    const uint64_t at = sy_pack_reserve(&g->packs[pack], n);
    const struct sy_sum s = sy_sum_place(g, pack, at, SY_KIND_KEEP, n, 1, 1, n, name);
    sy_tensor_extend(g, g->packs[pack].part, g->slices * g->packs[pack].count);
    return s;
}

uint32_t sy_sum_pack(const struct sy_graph *g)
{
    uint32_t pack = 0;
    while (pack < g->pack_count && (g->packs[pack].flags & SY_PACK_SUMS) == 0)
        ++pack;
    return pack;
}

sy_tid sy_sum_block(const struct sy_graph *g, uint32_t pack, uint32_t block)
{
    return g->packs[pack].kept > 1 ? g->packs[pack].apart[block] : g->packs[pack].levels[top(g, block)];
}

sy_tid sy_sum_total(const struct sy_graph *g, uint32_t pack) { return sy_sum_block(g, pack, 0); }

/// The merges after micro-batch `micro`; `phase` is not filled.
static uint32_t merges_after(const struct sy_graph *g, uint32_t micro, struct sy_merge out[SY_MAX_MERGES])
{
    struct sy_turns list[SY_MAX_BLOCKS];
    if (g->micro_count == 1)
        return 0;
    uint32_t b = blocks_of(g, list) - 1, count = 0;
    while (list[b].first > micro)
        --b;
    const uint32_t at = micro - list[b].first, first = at & ~1u; // where the block's part that just grew starts
    out[count++] = (struct sy_merge){.from = 0, .to = level_of(g, b, first), .add = (at & 1u) != 0};
    for (uint32_t size = 2; (at & (2 * size - 1)) == 2 * size - 1 && 2 * size <= list[b].count; size *= 2) {
        const uint32_t left = at + 1 - 2 * size, right = at + 1 - size;
        out[count++] = (struct sy_merge){.from = level_of(g, b, right), .to = level_of(g, b, left), .add = true};
    }
    return count;
}

static const struct sy_merge *find(const struct sy_graph *g, const struct sy_merge *m)
{
    for (size_t i = 0; i < g->merge_count; ++i)
        if (g->merges[i].from == m->from && g->merges[i].to == m->to && g->merges[i].add == m->add)
            return &g->merges[i];
    return NULL;
}

void sy_tree_add(struct sy_graph *g, sy_tid from, sy_tid to, uint64_t n, uint32_t outer, uint32_t count, bool add)
{
    for (uint32_t left = count; left > 0;) {
        const uint32_t each = left < TREE ? left : TREE, rest = left / each;
        const struct sy_tree_sum_args a = {
            .n = (u32)n, .slices = each, .outer = outer * rest, .accumulate = rest == 1 && add};
        const sy_tid out = rest == 1 ? to : sy_act_f(g, (uint64_t)outer * rest, n, ".slices");
        if (rest > 1 && g->tensors[from].pieces != SY_NONE && out != SY_NONE)
            sy_pieces_alike(g, out, outer * rest, from);
        SY_EMIT(g, tree_sum, &a, from, out);
        from = out;
        left = rest == 1 ? 0 : rest;
    }
}

/// The sum that ends with node `i`, UINT32_MAX when there is none; `from`: the first to look at.
static uint32_t ends_with(const size_t *last, size_t count, size_t i, uint32_t from)
{
    while (from < count && last[from] != i)
        ++from;
    return from < count ? from : UINT32_MAX;
}

/// Node that writes each sum's part last; SIZE_MAX where there is nothing to add up.
static void find_ends(const struct sy_graph *g, size_t *last)
{
    for (size_t k = 0; k < g->sum_count; ++k)
        last[k] = SIZE_MAX;
    for (size_t i = 0; i < g->node_count; ++i) {
        const struct sy_op_info *info = sy_op_info(g->nodes[i].op);
        for (uint32_t b = 0; b < info->binding_count; ++b)
            for (size_t k = 0; k < g->sum_count && (info->write_mask >> b & 1u) != 0; ++k)
                if (g->sums[k].part == g->nodes[i].bind[b] && g->sums[k].part != g->sums[k].micro)
                    last[k] = i;
    }
}

/// Adds up sources and slices of every sum as soon as its last contribution is there, so that they live no longer.
static void add_slices(struct sy_graph *g)
{
    struct sy_node *old = g->nodes;
    const size_t count = g->node_count;
    size_t *last = calloc(g->sum_count + 1, sizeof *last);
    if (last == NULL) {
        sy_graph_no_memory(g);
        return;
    }
    find_ends(g, last);
    g->nodes = NULL;
    g->node_count = g->node_room = 0;
    for (size_t i = 0; i < count && g->status == SY_OK; ++i) {
        g->phase = old[i].phase;
        *sy_emit(g, old[i].op, old[i].args, old[i].bind) = old[i];
        g->in_backward = old[i].backward;
        for (uint32_t k = ends_with(last, g->sum_count, i, 0); k != UINT32_MAX;
             k = ends_with(last, g->sum_count, i, k + 1)) {
            const struct sy_sum s = g->sums[k];
            const struct sy_pack *p = &g->packs[s.pack];
            sy_tree_add(g, s.part, s.micro, s.count, p->kept, p->sources * g->slices / p->kept, false);
        }
    }
    g->in_backward = false;
    free(last);
    free(old);
}

static void emit(struct sy_graph *g, const struct sy_merge *m)
{
    for (uint32_t i = 0; i < g->pack_count; ++i) {
        const struct sy_pack *p = &g->packs[i];
        if (p->levels[top(g, 0)] == SY_NONE)
            continue; // nothing is summed in this pack
        const enum sy_tensor_kind kind = sy_graph_tensor(g, p->levels[top(g, 0)])->kind;
        const struct sy_tree_sum_args a = {
            .n = (u32)(p->kept * p->count), .slices = 1, .outer = 1, .accumulate = m->add};
        const sy_tid from = m->from == 0 ? p->micro : level_tensor(g, i, m->from, kind);
        SY_EMIT(g, tree_sum, &a, from, level_tensor(g, i, m->to, kind));
    }
}

void sy_slices_emit(struct sy_graph *g)
{
    const uint32_t before = g->phase;
    add_slices(g);
    for (uint32_t micro = 0; micro < g->micro_count && g->status == SY_OK; ++micro) {
        struct sy_merge list[SY_MAX_MERGES];
        const uint32_t count = merges_after(g, micro, list);
        for (uint32_t i = 0; i < count; ++i) {
            if (find(g, &list[i]) != NULL)
                continue;
            struct sy_merge *merges = sy_graph_grow(g, g->merges, g->merge_count, &g->merge_room, sizeof *merges);
            if (merges == NULL)
                return;
            g->merges = merges;
            g->phase = list[i].phase = g->phase_count++;
            merges[g->merge_count++] = list[i];
            emit(g, &list[i]);
        }
    }
    g->phase = before;
}

/// What the sources' sums of a pack become: one, by the tree over sources, in every block.
static void add_sources(struct sy_graph *g, uint32_t pack)
{
    const struct sy_pack p = g->packs[pack];
    struct sy_turns list[SY_MAX_BLOCKS];
    const uint32_t blocks = p.kept > 1 ? blocks_of(g, list) : 0;
    for (uint32_t b = 0; b < blocks; ++b)
        for (size_t i = 0; i < g->sum_count; ++i) {
            const struct sy_sum s = g->sums[i];
            sy_tid last = s.last, total = s.total;
            if (s.pack != pack)
                continue;
            if (b != 0) {
                const enum sy_tensor_kind kind = sy_graph_tensor(g, total)->kind;
                last = sy_tensor_view(g, p.levels[top(g, b)], p.kept * s.at, p.kept * s.count, 1, 1, "block");
                total = sy_tensor_view(g, apart_tensor(g, pack, b, kind), s.at, s.count, 1, 1, "block");
            }
            sy_tree_add(g, last, total, s.count, 1, p.kept, false);
        }
}

void sy_ranks_emit(struct sy_graph *g)
{
    const uint32_t before = g->phase;
    g->phase = SY_PHASE_UPDATE;
    for (uint32_t k = 0; k < g->pack_count && sy_layout_ranks(g->ranks) > 1; ++k) {
        const struct sy_pack pack = g->packs[k];
        const bool experts = pack.sources > 1; // every place along the expert axis has its own
        add_sources(g, k);
        if (pack.count > UINT32_MAX && g->status == SY_OK)
            g->status = sy_fail(g->ctx, SY_UNSUPPORTED,
                                "tensor %s has %llu elements; ranks share at most 2^32 of one: spread the experts over "
                                "more ranks",
                                sy_graph_tensor(g, pack.master)->name, (unsigned long long)pack.count);
        const struct sy_ranks_args a = {.n = (u32)pack.count, .pack = k};
        if (sy_sum_total(g, k) != SY_NONE && (!experts || g->ranks->data > 1) && !sy_overlap_sums(g, k))
            SY_EMIT(g, sum_ranks, &a, sy_sum_total(g, k));
    }
    g->phase = before;
}

uint32_t sy_slices_phases(const struct sy_graph *g, uint32_t micro, uint32_t out[SY_MAX_MERGES])
{
    struct sy_merge list[SY_MAX_MERGES];
    const uint32_t count = merges_after(g, micro, list);
    for (uint32_t i = 0; i < count; ++i) {
        const struct sy_merge *m = find(g, &list[i]);
        assert(m != NULL);
        out[i] = m->phase;
    }
    return count;
}
