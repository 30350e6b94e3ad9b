// SPDX-License-Identifier: Apache-2.0
// message_sums.c: sums over ranks, each rank's shard of them, and new values to all.
#include <stdlib.h>
#include <string.h>

#include "engine/message_private.h"
#include "engine/shard.h"

/// The ranks at places first + i · stride: a sum's tree goes over them, neighbours first.
struct axis {
    uint32_t first, stride, size;
};

/// The pairwise tree over an axis, in place and everywhere the same: each round a rank and its partner share what
/// they have between them, so that n elements are sent about twice whatever the number of ranks.
static enum sy_status sum_over(struct sy_ctx *ctx, struct sy_group *group, const char *what, const struct axis *axis,
                               float *x, float *partners, uint64_t n)
{
    const uint32_t me = (group->rank - axis->first) / axis->stride;
    uint64_t first[32], count[32], at = 0, left = n; // the part that was whole before each round
    uint32_t rounds = 0;
    for (uint32_t bit = 1; bit < axis->size; bit *= 2, ++rounds) {
        const uint64_t low = (left + 1) / 2;
        const bool upper = (me & bit) != 0;
        const uint64_t keep = upper ? at + low : at, kept = upper ? left - low : low;
        const uint64_t give = upper ? at : at + low, given = left - kept;
        const uint32_t peer = axis->first + (me ^ bit) * axis->stride;
        const struct sy_transfer list[] = {
            {.peer = peer, .data = partners, .bytes = kept * sizeof *x},
            {.peer = peer, .send = true, .data = x + give, .bytes = given * sizeof *x},
        };
        first[rounds] = at;
        count[rounds] = left;
        SY_TRY(sy_group_exchange(ctx, group, what, list, SY_COUNT(list)));
        for (uint64_t i = 0; i < kept; ++i)
            x[keep + i] += partners[i];
        at = keep;
        left = kept;
    }
    while (rounds-- > 0) {
        const uint32_t peer = axis->first + (me ^ (1u << rounds)) * axis->stride;
        const uint64_t other = at == first[rounds] ? at + left : first[rounds], others = count[rounds] - left;
        const struct sy_transfer list[] = {
            {.peer = peer, .data = x + other, .bytes = others * sizeof *x},
            {.peer = peer, .send = true, .data = x + at, .bytes = left * sizeof *x},
        };
        SY_TRY(sy_group_exchange(ctx, group, what, list, SY_COUNT(list)));
        at = first[rounds];
        left = count[rounds];
    }
    return SY_OK;
}

/// The ranks that hold a pack.
static struct axis holders(const struct sy_graph *g, uint32_t pack)
{
    const struct sy_layout *l = g->ranks;
    const uint32_t parts = sy_layout_parts(l);
    if (g->packs[pack].sources > 1)
        return (struct axis){
            .first = sy_layout_number(l, sy_layout_place(l), l->part), .stride = l->expert * parts, .size = l->data};
    return (struct axis){.first = l->part, .stride = parts, .size = sy_layout_ranks(l)};
}

enum sy_status sy_sums_exchange(struct sy_session *s, const struct sy_node *n, sy_tid x, const int32_t *own)
{
    const struct sy_ranks_args *p = (const void *)n->args;
    struct sy_parcel *room = &s->messages->scratch;
    const struct axis all = {.stride = 1, .size = sy_layout_world(s->graph->ranks)},
                      places = holders(s->graph, p->pack);
    SY_TRY(sy_parcel_reserve(s->ctx, room, p->n * sizeof(float), p->n * sizeof(float)));
    float *values = (float *)(void *)room->out;
    SY_TRY(sy_runtime_read_part(s->runtime, x, 0, p->n, values));
    for (uint32_t i = 0; i < p->n && own != NULL; ++i)
        values[i] = own[i] != 0 ? values[i] : 0.0f;
    SY_TRY(sum_over(s->ctx, s->graph->ranks->group, n->label, own != NULL ? &all : &places, values,
                    (float *)(void *)room->in, p->n));
    return sy_runtime_write_part(s->runtime, x, 0, p->n, values);
}

/// x [ranks][n] → x [n], by the pairwise tree.
static void add_tree(float *x, uint32_t ranks, uint64_t n)
{
    for (uint32_t stride = 1; stride < ranks; stride *= 2)
        for (uint32_t r = 0; r + stride < ranks; r += 2 * stride)
            for (uint64_t i = 0; i < n; ++i)
                x[r * n + i] += x[(r + stride) * n + i];
}

/// The part of a message's stretch of a pack that the r-th holder owns, from the stretch's beginning on.
static struct sy_shard part_of(const struct sy_session *s, const struct sy_ranks_args *a, uint32_t r)
{
    const struct sy_shard shard = sy_shard_of(s->graph, a->pack, r);
    const uint64_t end = a->at + (uint64_t)a->n;
    const uint64_t first = shard.first < a->at ? a->at : shard.first < end ? shard.first : end;
    const uint64_t stop = shard.end > end ? end : shard.end > first ? shard.end : first;
    return (struct sy_shard){.first = first - a->at, .end = stop - a->at};
}

static uint64_t length(struct sy_shard shard) { return shard.end - shard.first; }

static bool sums(const struct sy_parcel *p) { return p->node->op == SY_OP_sum_ranks; }

enum sy_status sy_shards_pack(struct sy_session *s, struct sy_parcel *p)
{
    const struct sy_ranks_args *a = (const void *)p->node->args;
    const struct sy_shard mine = part_of(s, a, sy_shard_own(s->graph, a->pack));
    const uint64_t size = sizeof(float), ranks = holders(s->graph, a->pack).size;
    SY_TRY(sy_parcel_reserve(s->ctx, p, a->n * size, sums(p) ? ranks * length(mine) * size : 0));
    if (sums(p))
        return sy_parcel_read(s, p, p->node->bind[0], 0, a->n, p->out);
    return sy_parcel_read(s, p, p->node->bind[0], mine.first, length(mine), p->out + mine.first * size);
}

enum sy_status sy_shards_address(struct sy_session *s, struct sy_parcel *p)
{
    const struct sy_ranks_args *a = (const void *)p->node->args;
    const struct axis axis = holders(s->graph, a->pack);
    const uint32_t me = sy_shard_own(s->graph, a->pack);
    const struct sy_shard mine = part_of(s, a, me);
    const uint64_t size = sizeof(float), own = length(mine) * size;
    p->count = 0;
    for (uint32_t r = 0; r < axis.size; ++r) {
        const struct sy_shard theirs = part_of(s, a, r);
        const uint32_t peer = axis.first + r * axis.stride;
        char *there = p->out + theirs.first * size;
        if (r == me)
            continue;
        SY_TRY(sy_parcel_add(s->ctx, p, peer, false, sums(p) ? p->in + r * own : there,
                             sums(p) ? own : length(theirs) * size));
        SY_TRY(sy_parcel_add(s->ctx, p, peer, true, sums(p) ? there : p->out + mine.first * size,
                             sums(p) ? length(theirs) * size : own));
    }
    return SY_OK;
}

enum sy_status sy_shards_unpack(struct sy_session *s, struct sy_parcel *p)
{
    const struct sy_ranks_args *a = (const void *)p->node->args;
    const uint32_t me = sy_shard_own(s->graph, a->pack);
    const struct sy_shard mine = part_of(s, a, me);
    const uint64_t count = length(mine), size = sizeof(float);
    const sy_tid x = p->node->bind[0];
    if (sums(p)) {
        memcpy(p->in + me * count * size, p->out + mine.first * size, count * size);
        add_tree((float *)(void *)p->in, holders(s->graph, a->pack).size, count);
        return count == 0 ? SY_OK : sy_runtime_write_part(s->runtime, x, mine.first, count, p->in);
    }
    if (mine.first != 0)
        SY_TRY(sy_runtime_write_part(s->runtime, x, 0, mine.first, p->out));
    return mine.end == a->n ? SY_OK
                            : sy_runtime_write_part(s->runtime, x, mine.end, a->n - mine.end, p->out + mine.end * size);
}
