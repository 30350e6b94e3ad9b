// SPDX-License-Identifier: Apache-2.0
#include "apps/plan_ranks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/message.h"
#include "engine/shard.h"
#include "engine/split.h"
#include "engine/turns.h"

/// A power of two up to 2^16 at *at, which goes behind it; 0: there is none.
static uint32_t axis(const char **at)
{
    char *end;
    if (**at < '0' || **at > '9')
        return 0;
    const unsigned long n = strtoul(*at, &end, 10);
    *at = end;
    return n <= 1u << 16 && plan_power_of_two(n) ? (uint32_t)n : 0;
}

bool plan_layout_parse(const char *text, struct sy_layout *out)
{
    uint32_t sizes[3] = {1, 1, 1}, count = 0;
    do {
        sizes[count] = axis(&text);
        if (sizes[count++] == 0)
            return false;
    } while (count < SY_COUNT(sizes) && *text == 'x' && text++ != NULL);
    *out = (struct sy_layout){.data = sizes[0], .expert = sizes[1], .model = sizes[2]};
    return *text == '\0' && count >= 2;
}

/// This rank's number in the run.
static uint32_t number(const struct sy_layout *l) { return sy_layout_number(l, l->rank, sy_layout_part(l)); }

/// Adds what passes between this rank and `peer`. Nothing is sent where there are no bytes.
static void pass_some(struct plan_traffic *t, const struct sy_layout *l, uint32_t machine, uint32_t peer, double sent,
                      double received, uint32_t messages)
{
    struct plan_wire *w = peer / machine == number(l) / machine ? &t->near : &t->far;
    w->messages += sent > 0.0 ? messages : 0;
    w->sent += sent;
    w->received += received;
}

static void pass(struct plan_traffic *t, const struct sy_layout *l, uint32_t machine, uint32_t peer, double sent,
                 double received)
{
    pass_some(t, l, machine, peer, sent, received, 1);
}

/// The experts of a place that a message is about.
static double meant(const struct sy_layout *l, const struct sy_exchange_args *p, uint32_t place)
{
    const uint32_t own = sy_layout_own_experts(l, place, p->experts), half = sy_rows_half(own);
    return p->part == 0 ? own : p->part == SY_ROWS_FIRST ? half : own - half;
}

/// Rows of `unit` bytes to the owners of their experts, or back.
static void pass_rows(struct plan_traffic *t, const struct sy_layout *l, uint32_t machine,
                      const struct sy_exchange_args *p, double unit)
{
    const double own = meant(l, p, sy_layout_place(l)), each = (double)p->slots / p->experts * unit;
    if (p->part == SY_ROWS_OWN)
        return;
    for (uint32_t e = 0; e < l->expert; ++e) {
        const double away = each * meant(l, p, e), here = each * own;
        if (e != sy_layout_place(l))
            pass(t, l, machine, sy_layout_peer(l, e), p->back ? here : away, p->back ? away : here);
    }
    const uint32_t all = sy_layout_own_experts(l, sy_layout_place(l), p->experts);
    const double share = all == 0 ? 1.0 : own / all; // the parts' bounds together are that of the whole
    const double most_away = share * p->slots * unit;
    const double most_here = own == 0.0 ? 0.0 : share * p->xslots / l->expert * (l->expert - 1) * unit;
    t->most_sent += p->back ? most_here : most_away;
    t->most_received += p->back ? most_away : most_here;
    t->staged += share * each * p->experts + each * own * l->expert;
    t->out = t->in = fmax(p->slots, own == 0.0 ? 0.0 : p->xslots) * unit; // each is sorted into the other
}

static void routes(struct plan_traffic *t, const struct sy_layout *l, uint32_t machine,
                   const struct sy_exchange_args *p)
{
    const double own = sy_layout_own_experts(l, sy_layout_place(l), p->experts), count = p->slices * sizeof(uint32_t);
    pass_rows(t, l, machine, p, sizeof(int32_t));
    for (uint32_t e = 0; e < l->expert; ++e) {
        const double sent = sy_layout_own_experts(l, e, p->experts) * count, received = own * count;
        if (e == sy_layout_place(l))
            continue;
        pass(t, l, machine, sy_layout_peer(l, e), sent, received);
        t->most_sent += sent;
        t->most_received += received;
    }
    const double offsets = (p->experts * count + sizeof(int32_t)) + (own * l->expert * count + sizeof(int32_t));
    t->staged = (p->slots + p->xslots) * (double)sizeof(int32_t) + offsets; // all places, used or not
}

static void all_is_certain(struct plan_traffic *t)
{
    t->most_sent = t->near.sent + t->far.sent;
    t->most_received = t->near.received + t->far.received;
}

/// The sum of `n` elements over all ranks, or over those of one part: the walk of message_sums.c.
static void sum(struct plan_traffic *t, const struct sy_layout *l, uint32_t machine, uint64_t n, bool all)
{
    uint64_t kept[32] = {n};
    uint32_t rounds = 0;
    const uint32_t me = all ? number(l) : l->rank, ranks = all ? sy_layout_world(l) : sy_layout_ranks(l);
    for (uint32_t bit = 1; bit < ranks; bit *= 2, ++rounds) {
        const uint64_t low = (kept[rounds] + 1) / 2;
        kept[rounds + 1] = (me & bit) != 0 ? kept[rounds] - low : low;
    }
    for (uint32_t i = 0; i < rounds; ++i) {
        const double mine = (double)kept[i + 1] * sizeof(float),
                     other = (double)(kept[i] - kept[i + 1]) * sizeof(float);
        const uint32_t peer = all ? me ^ (1u << i) : sy_layout_number(l, me ^ (1u << i), sy_layout_part(l));
        pass(t, l, machine, peer, other, mine); // each half to whom it belongs …
        pass(t, l, machine, peer, mine, other); // … and its sum back
    }
    t->staged = 2.0 * (double)n * sizeof(float);
    t->out = t->in = (double)n * sizeof(float);
}

/// Which of the ranks that hold a pack `rank` is.
static uint32_t holder(const struct sy_graph *g, const struct sy_layout *l, uint32_t pack, uint32_t rank)
{
    return sy_graph_pack(g, pack)->sources > 1 ? rank / l->expert : rank;
}

static double shard_elements(const struct sy_graph *g, uint32_t pack, uint32_t i)
{
    const struct sy_shard shard = sy_shard_of(g, pack, i);
    return (double)(shard.end - shard.first);
}

/// The bytes of a message's stretch of a pack that the i-th holder owns.
static double shard_bytes(const struct sy_graph *g, const struct sy_ranks_args *p, uint32_t i)
{
    const struct sy_shard shard = sy_shard_of(g, p->pack, i);
    const double first = fmax((double)shard.first, p->at), end = fmin((double)shard.end, (double)p->at + p->n);
    return fmax(end - first, 0.0) * sizeof(float);
}

/// How many partial sums of every gradient the ranks of a place have (turns.h).
static uint32_t blocks(const struct sy_layout *l, uint32_t place)
{
    struct sy_turns list[SY_MAX_BLOCKS];
    return sy_turns_blocks(l, place / l->expert, 1, list);
}

/// A stretch of a pack's shards: all ranks' sums to their owner, or its new values to all. Sums that are of no
/// parameters everyone needs.
static void shards(struct plan_traffic *t, const struct sy_graph *g, const struct sy_layout *l, uint32_t machine,
                   const struct sy_ranks_args *p, bool share)
{
    const bool apart = sy_graph_pack(g, p->pack)->sources > 1;
    const uint32_t me = holder(g, l, p->pack, l->rank), ranks = sy_shard_count(g, p->pack);
    const bool whole = (sy_graph_pack(g, p->pack)->flags & SY_PACK_SUMS) != 0;
    const double all = (double)p->n * sizeof(float), mine = whole ? all : shard_bytes(g, p, me);
    const uint32_t own = share ? 1 : blocks(l, l->rank);
    t->out = own * all;
    for (uint32_t r = 0; r < ranks; ++r) {
        const double theirs = whole ? all : shard_bytes(g, p, r);
        const uint32_t place = apart ? r * l->expert + sy_layout_place(l) : r, count = share ? 1 : blocks(l, place);
        if (r != me)
            pass_some(t, l, machine, sy_layout_number(l, place, sy_layout_part(l)), share ? mine : own * theirs,
                      share ? theirs : count * mine, own);
        t->in += share ? 0.0 : count * mine;
    }
    t->staged = share ? all : own * all + mine;
}

/// The sum of `n` elements of `size` bytes over the ranks of a place: the walk of message_split.c.
static void sum_parts(struct plan_traffic *t, const struct sy_layout *l, uint32_t machine, uint64_t n, double size)
{
    const uint32_t parts = sy_layout_parts(l), part = sy_layout_part(l);
    const double mine = (double)(n * (part + 1) / parts - n * part / parts) * size;
    for (uint32_t r = 0; r < parts; ++r) {
        const double theirs = (double)(n * (r + 1) / parts - n * r / parts) * size;
        if (r == part)
            continue;
        pass(t, l, machine, sy_layout_number(l, l->rank, r), theirs, mine); // its run to who sums it …
        pass(t, l, machine, sy_layout_number(l, l->rank, r), mine, theirs); // … and the sums to all
    }
    t->staged = 2.0 * (double)n * size;
    t->out = (double)n * size;
    t->in = (double)((n / parts + 1) * parts) * size;
}

/// The same of two ranks, which send each other all that they have.
static void sum_pair(struct plan_traffic *t, const struct sy_layout *l, uint32_t machine, uint64_t n, double size)
{
    const double all = (double)n * size;
    pass(t, l, machine, sy_layout_number(l, l->rank, 1 - sy_layout_part(l)), all, all);
    t->staged = 2.0 * all;
    t->out = t->in = all;
}

/// The means of some ranges of tensors, which are read and written as wholes.
static void mean_parts(struct plan_traffic *t, const struct sy_graph *g, const struct sy_node *n,
                       const struct sy_layout *l, uint32_t machine)
{
    const struct sy_parts_args *p = (const void *)n->args;
    const struct sy_range *ranges = sy_graph_tensor(g, n->bind[0])->data;
    uint64_t chosen = 0, counts[3] = {0};
    for (u32 i = 0; i < p->ranges; ++i) {
        chosen += (uint64_t)ranges[i].count;
        counts[ranges[i].which] = sy_graph_tensor(g, n->bind[1 + ranges[i].which])->count;
    }
    const double all = (double)(counts[0] + counts[1] + counts[2]) * sizeof(float);
    sum_parts(t, l, machine, chosen, sizeof(float));
    t->staged = 2.0 * all;
    t->out += all;
}

void plan_traffic_of(const struct sy_graph *g, const struct sy_node *n, const struct sy_layout *l, uint32_t machine,
                     struct plan_traffic *out)
{
    const struct sy_exchange_args *x = (const void *)n->args;
    const struct sy_ranks_args *s = (const void *)n->args;
    *out = (struct plan_traffic){.staged = 0.0};
    if (n->op == SY_OP_exchange_routes)
        routes(out, l, machine, x);
    else if (n->op == SY_OP_exchange_rows)
        pass_rows(out, l, machine, x, x->dim * (double)sy_dtype_bytes(sy_graph_tensor(g, n->bind[0])->dtype));
    else if (n->op == SY_OP_sum_parts)
        (sy_layout_parts(l) == 2 ? sum_pair : sum_parts)(out, l, machine,
                                                         ((const struct sy_parts_args *)(const void *)n->args)->n,
                                                         (double)sy_dtype_bytes(sy_graph_tensor(g, n->bind[0])->dtype));
    else if (n->op == SY_OP_mean_parts)
        mean_parts(out, g, n, l, machine);
    else if (n->op == SY_OP_gather_norms ||
             ((sy_graph_pack(g, s->pack)->flags & SY_PACK_SUMS) != 0 && l->turns == NULL))
        sum(out, l, machine, s->n, n->op == SY_OP_gather_norms);
    else
        shards(out, g, l, machine, s, n->op == SY_OP_share_ranks);
    if (n->op != SY_OP_exchange_routes && n->op != SY_OP_exchange_rows)
        all_is_certain(out);
}

uint32_t plan_slowest(const struct sy_graph *g, const struct sy_node *n, const struct sy_layout *l)
{
    const struct sy_ranks_args *p = (const void *)n->args;
    uint32_t slowest = 0;
    if ((n->op != SY_OP_sum_ranks && n->op != SY_OP_share_ranks) ||
        (sy_graph_pack(g, p->pack)->flags & SY_PACK_SUMS) != 0)
        return l->rank;
    for (uint32_t r = 1; r < sy_shard_count(g, p->pack); ++r)
        if (shard_bytes(g, p, r) > shard_bytes(g, p, slowest))
            slowest = r;
    return sy_graph_pack(g, p->pack)->sources > 1 ? slowest * l->expert + sy_layout_place(l) : slowest;
}

uint32_t plan_busiest(const struct sy_graph *g, const struct sy_segments *s, const struct sy_layout *l)
{
    double *bytes = calloc(sy_layout_ranks(l), sizeof *bytes); // that each has to take and to send as an owner
    uint32_t busiest = l->rank;
    for (size_t i = 0; i < s->count && bytes != NULL; ++i) {
        const struct sy_node *n = sy_graph_node(g, s->legs.list[s->list[i].leg].first);
        const uint32_t owner = s->list[i].kind == SY_SEGMENT_MESSAGE ? plan_slowest(g, n, l) : l->rank;
        if (owner == l->rank)
            continue;
        const struct sy_ranks_args *p = (const void *)n->args;
        bytes[owner] += shard_bytes(g, p, holder(g, l, p->pack, owner)) * sy_shard_count(g, p->pack);
        busiest = bytes[owner] > bytes[busiest] ? owner : busiest;
    }
    free(bytes);
    return busiest;
}

double plan_updates(const struct sy_graph *g, const struct sy_layout *l, uint32_t rank)
{
    double elements = 0.0;
    for (uint32_t k = 0; k < sy_graph_pack_count(g); ++k)
        if ((sy_graph_pack(g, k)->flags & SY_PACK_SUMS) == 0)
            elements += shard_elements(g, k, holder(g, l, k, rank));
    return elements;
}

static void add(struct plan_wire *to, const struct plan_wire *from)
{
    to->messages += from->messages;
    to->sent += from->sent;
    to->received += from->received;
}

/// Host memory of one rank's messages of a kind (or of all): each slot's, and that of what is waited for at once, are
/// as large as the largest needs them.
static double host_memory(const struct sy_graph *g, const struct sy_segments *s, const struct sy_layout *l,
                          enum sy_op_id op, double *room)
{
    double sum = 0.0;
    const uint32_t last = s->legs.slots; // what is waited for at once
    memset(room, 0, 2 * ((size_t)last + 1) * sizeof *room);
    for (size_t i = 0; i < s->count; ++i) {
        const struct sy_leg *leg = &s->legs.list[s->list[i].leg];
        struct plan_traffic t;
        if (s->list[i].kind != SY_SEGMENT_MESSAGE || (op != SY_OP_COUNT && sy_graph_node(g, leg->first)->op != op))
            continue;
        double *side = &room[2 * (size_t)(sy_message_travels(g, leg->first) ? leg->slot : last)];
        plan_traffic_of(g, sy_graph_node(g, leg->first), l, 1, &t);
        side[0] = fmax(side[0], t.out);
        side[1] = fmax(side[1], t.in);
    }
    for (size_t i = 0; i < 2 * ((size_t)last + 1); ++i)
        sum += room[i];
    return sum;
}

/// The same of the rank that needs most: one of those that have the largest shards.
static double most_host_memory(const struct sy_graph *g, const struct sy_segments *s, const struct sy_layout *l,
                               enum sy_op_id op)
{
    double *room = calloc((size_t)s->legs.slots + 1, 2 * sizeof *room);
    double most = room != NULL ? host_memory(g, s, l, op, room) : 0.0;
    uint32_t before = l->rank;
    for (size_t i = 0; i < s->count && room != NULL; ++i) {
        struct sy_layout other = *l;
        if (s->list[i].kind != SY_SEGMENT_MESSAGE)
            continue;
        other.rank = plan_slowest(g, sy_graph_node(g, s->legs.list[s->list[i].leg].first), l);
        most = other.rank != before ? fmax(most, host_memory(g, s, &other, op, room)) : most;
        before = other.rank;
    }
    free(room);
    return most;
}

uint32_t plan_traffic_sum(const struct sy_graph *g, const struct sy_segments *s, const struct sy_layout *l,
                          uint32_t machine, enum sy_op_id op, struct plan_traffic *out)
{
    uint32_t count = 0;
    *out = (struct plan_traffic){.staged = 0.0};
    for (size_t i = 0; i < s->count; ++i) {
        const struct sy_node *n = sy_graph_node(g, s->legs.list[s->list[i].leg].first);
        struct plan_traffic t;
        if (s->list[i].kind != SY_SEGMENT_MESSAGE || (op != SY_OP_COUNT && n->op != op))
            continue;
        plan_traffic_of(g, n, l, machine, &t);
        add(&out->near, &t.near);
        add(&out->far, &t.far);
        out->most_sent += t.most_sent;
        out->most_received += t.most_received;
        out->staged += t.staged;
        ++count;
    }
    out->host = most_host_memory(g, s, l, op);
    return count;
}

double plan_even_load(const struct sy_node *n, const struct sy_layout *l)
{
    const struct sy_exchange_args *p = (const void *)n->args;
    const double own = sy_layout_own_experts(l, sy_layout_place(l), p->experts);
    return (p->back && p->part <= SY_ROWS_OWN) || own == 0.0
               ? 1.0
               : (double)p->slots / p->experts * own * l->expert / p->xslots;
}
