// SPDX-License-Identifier: Apache-2.0
// message_sums.c: sums over ranks, each rank's shard of them, and new values to all.
#include <stdlib.h>
#include <string.h>

#include "engine/message_private.h"
#include "engine/shard.h"
#include "engine/slices.h"
#include "engine/turns.h"

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

/// A node of the tree over the step's micro-batches: the sum of `count` of them from `at` on.
struct summand {
    uint32_t at, count;
    float *x;
};

static int by_place(const void *a, const void *b)
{
    const struct summand *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

/// Adds up the nodes [n] of a whole tree, in place; gives where the sum is.
static float *add_tree(struct summand *list, uint32_t count, uint64_t n)
{
    uint32_t top = 0; // below it: sums that wait for their right neighbours
    qsort(list, count, sizeof *list, by_place);
    for (uint32_t k = 0; k < count; ++k) {
        for (list[top++] = list[k]; top > 1 && list[top - 1].count == list[top - 2].count; --top) {
            float *x = list[top - 2].x;
            for (uint64_t i = 0; i < n; ++i)
                x[i] += list[top - 1].x[i];
            list[top - 2].count *= 2;
        }
    }
    assert(top == 1);
    return list[0].x;
}

/// The part of a message's stretch of a pack that the r-th holder owns, from the stretch's beginning on. All have all
/// of what are no parameters.
static struct sy_shard part_of(const struct sy_session *s, const struct sy_ranks_args *a, uint32_t r)
{
    if ((s->graph->packs[a->pack].flags & SY_PACK_SUMS) != 0)
        return (struct sy_shard){.end = a->n};
    const struct sy_shard shard = sy_shard_of(s->graph, a->pack, r);
    const uint64_t end = a->at + (uint64_t)a->n;
    const uint64_t first = shard.first < a->at ? a->at : shard.first < end ? shard.first : end;
    const uint64_t stop = shard.end > end ? end : shard.end > first ? shard.end : first;
    return (struct sy_shard){.first = first - a->at, .end = stop - a->at};
}

/// The nodes of the tree that the r-th holder of a pack has the sums of: how many. `x` is not filled.
static uint32_t summands_of(const struct sy_session *s, uint32_t pack, uint32_t r, struct summand out[SY_MAX_BLOCKS])
{
    const struct sy_layout *l = s->graph->ranks;
    const bool experts = s->graph->packs[pack].sources > 1; // of which all sources' are added up
    const uint32_t sources = experts ? 1 : l->expert, e = r % sources;
    struct sy_turns blocks[SY_MAX_BLOCKS];
    const uint32_t count = sy_turns_blocks(l, r / sources, 1, blocks); // with equal shares, a step's counts as one
    for (uint32_t b = 0; b < count; ++b)
        out[b] = (struct summand){.at = sources * blocks[b].at + e * blocks[b].count, .count = blocks[b].count};
    return count;
}

static uint64_t length(struct sy_shard shard) { return shard.end - shard.first; }

static bool sums(const struct sy_parcel *p) { return p->node->op == SY_OP_sum_ranks; }

/// How many summands all holders of a pack have.
static uint32_t count_summands(const struct sy_session *s, uint32_t pack)
{
    struct summand list[SY_MAX_BLOCKS];
    uint32_t count = 0;
    for (uint32_t r = 0; r < holders(s->graph, pack).size; ++r)
        count += summands_of(s, pack, r, list);
    return count;
}

enum sy_status sy_shards_pack(struct sy_session *s, struct sy_parcel *p)
{
    const struct sy_ranks_args *a = (const void *)p->node->args;
    const uint32_t me = sy_shard_own(s->graph, a->pack);
    const struct sy_shard mine = part_of(s, a, me);
    const uint64_t size = sizeof(float), all = a->n * size;
    struct summand list[SY_MAX_BLOCKS];
    if (!sums(p)) {
        SY_TRY(sy_parcel_reserve(s->ctx, p, all, 0));
        return sy_parcel_read(s, p, p->node->bind[0], mine.first, length(mine), p->out + mine.first * size);
    }
    const uint32_t blocks = summands_of(s, a->pack, me, list);
    SY_TRY(sy_parcel_reserve(s->ctx, p, blocks * all, count_summands(s, a->pack) * length(mine) * size));
    SY_TRY(sy_parcel_read(s, p, p->node->bind[0], 0, a->n, p->out));
    for (uint32_t b = 1; b < blocks; ++b)
        SY_TRY(sy_parcel_read(s, p, sy_sum_block(s->graph, a->pack, b), a->at, a->n, p->out + b * all));
    return SY_OK;
}

enum sy_status sy_shards_address(struct sy_session *s, struct sy_parcel *p)
{
    const struct sy_ranks_args *a = (const void *)p->node->args;
    const struct axis axis = holders(s->graph, a->pack);
    const uint32_t me = sy_shard_own(s->graph, a->pack);
    const struct sy_shard mine = part_of(s, a, me);
    const uint64_t size = sizeof(float), own = length(mine) * size, all = a->n * size;
    struct summand list[SY_MAX_BLOCKS];
    const uint32_t blocks = sums(p) ? summands_of(s, a->pack, me, list) : 1;
    char *in = p->in;
    p->count = 0;
    for (uint32_t r = 0; r < axis.size; ++r) {
        const struct sy_shard theirs = part_of(s, a, r);
        const uint32_t peer = axis.first + r * axis.stride;
        char *there = p->out + theirs.first * size;
        if (r == me)
            continue;
        if (!sums(p)) {
            SY_TRY(sy_parcel_add(s->ctx, p, peer, false, there, length(theirs) * size));
            SY_TRY(sy_parcel_add(s->ctx, p, peer, true, p->out + mine.first * size, own));
            continue;
        }
        for (uint32_t b = 0; b < summands_of(s, a->pack, r, list); ++b, in += own)
            SY_TRY(sy_parcel_add(s->ctx, p, peer, false, in, own));
        for (uint32_t b = 0; b < blocks; ++b)
            SY_TRY(sy_parcel_add(s->ctx, p, peer, true, there + b * all, length(theirs) * size));
    }
    return SY_OK;
}

/// Adds up what came and what this rank has, and writes it.
static enum sy_status unpack_sums(struct sy_session *s, struct sy_parcel *p)
{
    const struct sy_ranks_args *a = (const void *)p->node->args;
    const uint32_t me = sy_shard_own(s->graph, a->pack);
    const struct sy_shard mine = part_of(s, a, me);
    const uint64_t count = length(mine), size = sizeof(float);
    struct summand *list = malloc((count_summands(s, a->pack) + (size_t)SY_MAX_BLOCKS) * sizeof *list);
    char *in = p->in;
    uint32_t nodes = 0;
    if (list == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory");
    for (uint32_t r = 0; r < holders(s->graph, a->pack).size; ++r) {
        const uint32_t blocks = summands_of(s, a->pack, r, &list[nodes]);
        for (uint32_t b = 0; b < blocks; ++b, ++nodes) {
            char *x = r == me ? p->out + (b * (uint64_t)a->n + mine.first) * size : in;
            list[nodes].x = (float *)(void *)x;
            in += r == me ? 0 : count * size;
        }
    }
    const float *sum = add_tree(list, nodes, count);
    free(list);
    return count == 0 ? SY_OK : sy_runtime_write_part(s->runtime, p->node->bind[0], mine.first, count, sum);
}

enum sy_status sy_shards_unpack(struct sy_session *s, struct sy_parcel *p)
{
    const struct sy_ranks_args *a = (const void *)p->node->args;
    const uint32_t me = sy_shard_own(s->graph, a->pack);
    const struct sy_shard mine = part_of(s, a, me);
    const uint64_t size = sizeof(float);
    const sy_tid x = p->node->bind[0];
    if (sums(p))
        return unpack_sums(s, p);
    if (mine.first != 0)
        SY_TRY(sy_runtime_write_part(s->runtime, x, 0, mine.first, p->out));
    return mine.end == a->n ? SY_OK
                            : sy_runtime_write_part(s->runtime, x, mine.end, a->n - mine.end, p->out + mine.end * size);
}
