// SPDX-License-Identifier: Apache-2.0
#include "engine/slices.h"

#include <stdio.h>

#include "engine/graph_private.h"
#include "engine/message.h"
#include "engine/pieces.h"

enum { TREE = 8 }; ///< Slices that one tree_sum adds up.

bool sy_slices_merge(const struct sy_graph *g) { return g->slices > 1 || g->micro_count > 1; }

static uint32_t trailing_zeros(uint32_t n) { return (uint32_t)__builtin_ctz(n); }

/// The level that the step's sum ends up in.
static uint32_t top(const struct sy_graph *g) { return trailing_zeros(g->micro_count); }

/// Where the block that starts at micro-batch `first` is kept: large enough for every block that starts there.
static uint32_t level_of(const struct sy_graph *g, uint32_t first)
{
    return first == 0 ? top(g) : trailing_zeros(first);
}

/// The tensor of a level of a pack, made when first asked for.
static sy_tid level_tensor(struct sy_graph *g, uint32_t pack, uint32_t level, enum sy_tensor_kind kind)
{
    struct sy_pack *p = &g->packs[pack];
    if (p->levels[level] == SY_NONE) {
        char name[32];
        snprintf(name, sizeof name, "%s.%u", (p->flags & SY_PACK_SUMS) != 0 ? "sums" : "gradients", level);
        p->levels[level] = sy_tensor_new(g, kind, g->f, p->sources * p->count, 1, 1, name);
        if (p->each != 0 && p->levels[level] != SY_NONE)
            sy_pieces_cut(g, p->levels[level], 1, p->each, p->each);
    }
    return p->levels[level];
}

/// Where a pack's sums of one micro-batch lie, [sources, slices, n] of each sum; made when first asked for.
static sy_tid part_tensor(struct sy_graph *g, uint32_t pack, enum sy_tensor_kind kind)
{
    const uint64_t count = g->packs[pack].sources * g->slices * g->packs[pack].count;
    if (g->packs[pack].part == SY_NONE)
        g->packs[pack].part = sy_tensor_new(g, kind, g->f, count, 1, 1, "micro-batch");
    return g->packs[pack].part;
}

/// The tensor of a pack's sums of all sources, made when first asked for.
static sy_tid apart_tensor(struct sy_graph *g, uint32_t pack, enum sy_tensor_kind kind)
{
    struct sy_pack *p = &g->packs[pack];
    if (p->apart == SY_NONE)
        p->apart = sy_tensor_new(g, kind, g->f, p->count, 1, 1, "gradients");
    return p->apart;
}

/// A sum's place of its own, [sources, slices, n].
static sy_tid own_part(struct sy_graph *g, const struct sy_sum *s, enum sy_tensor_kind kind, const uint64_t shape[3],
                       uint64_t unit, const char *name)
{
    const uint64_t pack = g->packs[s->pack].each, each = pack != 0 ? pack : s->count;
    const uint64_t parts = g->packs[s->pack].sources * (uint64_t)g->slices;
    const uint64_t fine = sy_piece_columns(g, g->f, parts, each, unit);
    const sy_tid t = sy_tensor_new(g, kind, g->f, parts * shape[0], shape[1], shape[2], name);
    if (fine < s->count && t != SY_NONE)
        sy_pieces_cut(g, t, parts, each, fine);
    return t;
}

/// A sum's place in a level of its pack, [sources, n].
static sy_tid level_part(struct sy_graph *g, const struct sy_sum *s, uint32_t level, enum sy_tensor_kind kind,
                         const uint64_t shape[3], const char *name)
{
    const sy_tid whole = level_tensor(g, s->pack, level, kind);
    const uint64_t sources = g->packs[s->pack].sources;
    if (sources > 1)
        return sy_tensor_view(g, whole, sources * s->at, sources * shape[0], shape[1], shape[2], name);
    return sy_pack_tensor(g, s->pack, whole, s->at, shape[0], shape[1], shape[2], name);
}

struct sy_sum sy_sum_place(struct sy_graph *g, uint32_t pack, uint64_t at, enum sy_tensor_kind kind, uint64_t d0,
                           uint64_t d1, uint64_t d2, uint64_t unit, const char *name)
{
    struct sy_sum s = {.pack = pack, .at = at, .count = d0 * d1 * d2};
    const uint64_t sources = g->packs[pack].sources, parts = sources * g->slices;
    if (sources > 1 && g->packs[pack].each != 0 && g->status == SY_OK)
        g->status =
            sy_fail(g->ctx, SY_UNSUPPORTED,
                    "%s: with its experts spread over ranks, one tensor of them must fit into one binding of the "
                    "device %u times: spread them over more ranks, or take another device",
                    name, (unsigned)sources);
    s.total = s.last = level_part(g, &s, top(g), kind, (const uint64_t[]){d0, d1, d2}, name);
    if (sources > 1)
        s.total = sy_tensor_view(g, apart_tensor(g, pack, kind), at, d0, d1, d2, name);
    const bool small = (g->packs[pack].flags & SY_PACK_SUMS) != 0;
    if (!sy_slices_merge(g))
        s.part = s.last;
    else if (g->slices > 1 && !small) // all of a model's gradients, several times over, may be more than one allocation
        s.part = own_part(g, &s, kind, (const uint64_t[]){d0, d1, d2}, unit, name);
    else if (g->packs[pack].each != 0)
        s.part = sy_pack_tensor(g, pack, part_tensor(g, pack, kind), at, d0, d1, d2, name);
    else
        s.part = sy_tensor_view(g, part_tensor(g, pack, kind), parts * at, parts * d0, d1, d2, name);
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

sy_tid sy_sum_total(const struct sy_graph *g, uint32_t pack)
{
    return g->packs[pack].sources > 1 ? g->packs[pack].apart : g->packs[pack].levels[top(g)];
}

/// The merges after micro-batch `micro`; `phase` is not filled.
static uint32_t merges_after(const struct sy_graph *g, uint32_t micro, struct sy_merge out[SY_MAX_MERGES])
{
    if (!sy_slices_merge(g))
        return 0;
    uint32_t count = 0, first = micro & ~1u; // where the block that just grew starts
    out[count++] = (struct sy_merge){.from = 0, .to = level_of(g, first), .add = (micro & 1u) != 0};
    for (uint32_t size = 2; (micro & (2 * size - 1)) == 2 * size - 1 && 2 * size <= g->micro_count; size *= 2) {
        const uint32_t left = micro + 1 - 2 * size, right = micro + 1 - size;
        out[count++] = (struct sy_merge){.from = level_of(g, right), .to = level_of(g, left), .add = true};
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

/// [outer, n] = or += the tree over the middle of [outer, count, n]: passes of at most eight until one is left.
static void add_up(struct sy_graph *g, sy_tid from, sy_tid to, uint64_t n, uint32_t outer, uint32_t count, bool add)
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

static void emit(struct sy_graph *g, const struct sy_merge *m)
{
    for (size_t i = 0; i < g->sum_count && m->from == 0 && g->slices > 1; ++i) {
        const struct sy_sum s = g->sums[i];
        const enum sy_tensor_kind kind = sy_graph_tensor(g, s.total)->kind;
        const sy_tid to =
            m->to == top(g) ? s.last : level_part(g, &s, m->to, kind, (const uint64_t[]){s.count, 1, 1}, ".partial");
        add_up(g, s.part, to, s.count, g->packs[s.pack].sources, g->slices, m->add);
    }
    for (uint32_t i = 0; i < g->pack_count && (m->from != 0 || g->slices == 1); ++i) {
        const struct sy_pack *p = &g->packs[i];
        if (p->levels[top(g)] == SY_NONE)
            continue; // nothing is summed in this pack
        const enum sy_tensor_kind kind = sy_graph_tensor(g, p->levels[top(g)])->kind;
        const struct sy_tree_sum_args a = {
            .n = (u32)(p->sources * p->count), .slices = 1, .outer = 1, .accumulate = m->add};
        const sy_tid from = m->from == 0 ? p->part : level_tensor(g, i, m->from, kind);
        SY_EMIT(g, tree_sum, &a, from, level_tensor(g, i, m->to, kind));
    }
}

void sy_slices_emit(struct sy_graph *g)
{
    const uint32_t before = g->phase;
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

/// What the sources' sums of a pack become: one, by the tree over sources.
static void add_sources(struct sy_graph *g, uint32_t pack)
{
    for (size_t i = 0; i < g->sum_count && g->packs[pack].sources > 1; ++i) {
        const struct sy_sum s = g->sums[i];
        if (s.pack == pack)
            add_up(g, s.last, s.total, s.count, 1, g->packs[pack].sources, false);
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
        if (sy_sum_total(g, k) != SY_NONE && (!experts || g->ranks->data > 1))
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
