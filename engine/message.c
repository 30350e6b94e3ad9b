// SPDX-License-Identifier: Apache-2.0
#include "engine/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session_private.h"
#include "engine/shard.h"

// ---- as ops --------------------------------------------------------------------------------------------------------

/// exchange_routes' sizes on the experts' side depend on the rank; the emitter makes the tensors fit.
static uint64_t routes_elements(const void *args, uint32_t i)
{
    const struct sy_exchange_args *p = args;
    const uint64_t counts[] = {(uint64_t)p->experts * p->slices + 1, p->slots, 1, p->xslots};
    return counts[i];
}

static uint64_t rows_elements(const void *args, uint32_t i)
{
    const struct sy_exchange_args *p = args;
    return (uint64_t)(p->back == (i == 0) ? p->xslots : p->slots) * p->dim;
}

static uint64_t sum_elements(const void *args, uint32_t i)
{
    (void)i;
    return ((const struct sy_ranks_args *)args)->n;
}

static const struct sy_op_impl routes_impl = {.elements = routes_elements, .flops = sy_no_flops},
                               rows_impl = {.elements = rows_elements, .flops = sy_no_flops},
                               sum_impl = {.elements = sum_elements, .flops = sy_no_flops};

const struct sy_op_info *sy_message_info(enum sy_op_id op)
{
    static const struct sy_op_info infos[] = {
        {.name = "exchange_routes",
         .types = SY_TYPES_F,
         .args_bytes = sizeof(struct sy_exchange_args),
         .binding_count = 4,
         .input_count = 2,
         .binding_names = {"off", "src", "xoff", "xsrc"},
         .binding_types = {'i', 'i', 'i', 'i'},
         .write_mask = 0xc,
         .read_mask = 0x3,
         .const_binding = UINT32_MAX,
         .impl = &routes_impl},
        {.name = "exchange_rows",
         .types = SY_TYPES_F | SY_TYPES_B,
         .args_bytes = sizeof(struct sy_exchange_args),
         .binding_count = 2,
         .input_count = 1,
         .binding_names = {"x", "y"},
         .binding_types = {'t', 't'},
         .write_mask = 0x2,
         .read_mask = 0x1,
         .const_binding = UINT32_MAX,
         .impl = &rows_impl},
        {.name = "sum_ranks",
         .types = SY_TYPES_F,
         .args_bytes = sizeof(struct sy_ranks_args),
         .binding_count = 1,
         .binding_names = {"x"},
         .binding_types = {'f'},
         .write_mask = 0x1,
         .read_mask = 0x1,
         .const_binding = UINT32_MAX,
         .impl = &sum_impl},
        {.name = "gather_norms",
         .types = SY_TYPES_F,
         .args_bytes = sizeof(struct sy_ranks_args),
         .binding_count = 2,
         .input_count = 1,
         .binding_names = {"own", "x"},
         .binding_types = {'i', 'f'},
         .write_mask = 0x2,
         .read_mask = 0x3,
         .const_binding = UINT32_MAX,
         .impl = &sum_impl},
        {.name = "share_ranks",
         .types = SY_TYPES_F,
         .args_bytes = sizeof(struct sy_ranks_args),
         .binding_count = 1,
         .binding_names = {"x"},
         .binding_types = {'f'},
         .write_mask = 0x1,
         .read_mask = 0x1,
         .const_binding = UINT32_MAX,
         .impl = &sum_impl},
    };
    assert(sy_op_is_message(op) && op < SY_OP_END);
    return &infos[op - SY_OP_COUNT - 1];
}

// ---- state ---------------------------------------------------------------------------------------------------------

/// Where rows go and come from in one sparse layer: what exchange_routes found.
struct route {
    uint32_t *sends;    ///< [sources] rows for the experts of each place; they lie one place after the other.
    uint32_t *receives; ///< [sources][own experts] rows from each place.
};

struct sy_messages {
    struct route routes[SY_MAX_SPARSE];
    char *here, *there; ///< Staging: this rank's side and the experts' side, or what a partner sends; …
    char *arriving;     ///< … rows in the order of arrival.
    uint64_t here_room, there_room, arriving_room;
    uint32_t sources;
};

enum sy_status sy_messages_create(const struct sy_session *s, struct sy_messages **out)
{
    struct sy_messages *m = calloc(1, sizeof *m);
    bool good = m != NULL;
    const struct sy_layout *l = s->graph->ranks;
    for (uint32_t i = 0; i < s->model.sparse_count && good; ++i) {
        const uint32_t most = s->model.sparse[i].experts;
        m->routes[i].sends = calloc(sy_layout_sources(l), sizeof(uint32_t));
        m->routes[i].receives = calloc((size_t)sy_layout_sources(l) * most, sizeof(uint32_t));
        good = m->routes[i].sends != NULL && m->routes[i].receives != NULL;
    }
    if (!good) {
        sy_messages_destroy(&m);
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory: messages between ranks");
    }
    m->sources = sy_layout_sources(l);
    *out = m;
    return SY_OK;
}

void sy_messages_destroy(struct sy_messages **messages)
{
    struct sy_messages *m = *messages;
    if (m == NULL)
        return;
    for (size_t i = 0; i < SY_MAX_SPARSE; ++i) {
        free(m->routes[i].sends);
        free(m->routes[i].receives);
    }
    free(m->here);
    free(m->there);
    free(m->arriving);
    free(m);
    *messages = NULL;
}

static enum sy_status reserve(struct sy_ctx *ctx, char **data, uint64_t *room, uint64_t bytes)
{
    if (bytes <= *room)
        return SY_OK;
    char *bigger = realloc(*data, bytes);
    if (bigger == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory: %llu bytes of a message", (unsigned long long)bytes);
    *data = bigger;
    *room = bytes;
    return SY_OK;
}

static enum sy_status reserve_both(struct sy_session *s, uint64_t here, uint64_t there)
{
    struct sy_messages *m = s->messages;
    SY_TRY(reserve(s->ctx, &m->here, &m->here_room, here));
    return reserve(s->ctx, &m->there, &m->there_room, there);
}

// ---- rows to experts and back --------------------------------------------------------------------------------------

/// Sends [offset, + bytes) pairs of `here` and receives into `there` by place; what stays is copied. Sizes are in
/// units.
static enum sy_status trade(struct sy_session *s, const char *what, char *from, const uint64_t *sends, char *to,
                            const uint64_t *receives, uint64_t unit)
{
    const struct sy_layout *l = s->graph->ranks;
    const uint32_t sources = sy_layout_sources(l), place = sy_layout_place(l);
    struct sy_transfer *list = calloc(2 * (size_t)sources, sizeof *list);
    size_t count = 0;
    if (list == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory");
    for (uint32_t e = 0; e < sources; ++e) {
        if (e == place) {
            memcpy(to, from, sends[e] * unit);
        } else {
            const uint32_t peer = sy_layout_peer(l, e);
            list[count++] = (struct sy_transfer){.peer = peer, .data = to, .bytes = receives[e] * unit};
            list[count++] = (struct sy_transfer){.peer = peer, .send = true, .data = from, .bytes = sends[e] * unit};
        }
        from += sends[e] * unit;
        to += receives[e] * unit;
    }
    const enum sy_status status = sy_group_exchange(s->ctx, l->group, what, list, count);
    free(list);
    return status;
}

/// Counts of rows by expert and slice, from each place for this rank's experts: [sources][own][slices].
static enum sy_status trade_counts(struct sy_session *s, const struct sy_node *n, const struct sy_exchange_args *p,
                                   const int32_t *off, uint32_t *out)
{
    const struct sy_layout *l = s->graph->ranks;
    const uint32_t sources = s->messages->sources, own = sy_layout_own_experts(l, sy_layout_place(l), p->experts);
    uint64_t *sends = calloc(2 * (size_t)sources, sizeof *sends), *receives = sends + sources;
    uint32_t *mine = calloc((size_t)p->experts * p->slices + 1, sizeof *mine);
    enum sy_status status = SY_OK;
    if (sends == NULL || mine == NULL)
        status = sy_fail(s->ctx, SY_NOMEM, "out of host memory");
    for (uint32_t i = 0; i < p->experts * p->slices && status == SY_OK; ++i)
        mine[i] = (uint32_t)(off[i + 1] - off[i]);
    for (uint32_t e = 0; e < sources && status == SY_OK; ++e) {
        sends[e] = (uint64_t)sy_layout_own_experts(l, e, p->experts) * p->slices;
        receives[e] = (uint64_t)own * p->slices;
    }
    if (status == SY_OK)
        status = trade(s, n->label, (char *)mine, sends, (char *)out, receives, sizeof *mine);
    free(mine);
    free(sends);
    return status;
}

/// Fills `route` and xoff from the counts; checks what came.
static enum sy_status lay_out(struct sy_session *s, const struct sy_node *n, const struct sy_exchange_args *p,
                              const int32_t *off, const uint32_t *counts, struct route *route, int32_t *xoff)
{
    const struct sy_layout *l = s->graph->ranks;
    const uint32_t sources = s->messages->sources, own = sy_layout_own_experts(l, sy_layout_place(l), p->experts);
    uint64_t at = 0;
    for (uint32_t e = 0; e < sources; ++e)
        route->sends[e] = (uint32_t)(off[sy_layout_first_expert(l, e + 1, p->experts) * p->slices] -
                                     off[sy_layout_first_expert(l, e, p->experts) * p->slices]);
    memset(route->receives, 0, (size_t)sources * own * sizeof *route->receives);
    for (uint32_t x = 0; x < own; ++x)
        for (uint32_t e = 0; e < sources; ++e)
            for (uint32_t i = 0; i < p->slices; ++i) {
                const uint32_t rows = counts[((size_t)e * own + x) * p->slices + i];
                *xoff++ = (int32_t)at;
                at += rows;
                route->receives[(size_t)e * own + x] += rows;
                if (at > p->xslots)
                    return sy_fail(s->ctx, SY_COMM,
                                   "%s: more rows arrive for this rank's experts than %u, which is all they can be: "
                                   "the ranks do not do the same work",
                                   n->label, p->xslots);
            }
    *xoff = (int32_t)at;
    return SY_OK;
}

/// Rows of `unit` bytes in the order of arrival (by place, then expert) → by expert, then place; or the other way
/// round.
static enum sy_status sort_rows(struct sy_ctx *ctx, const struct sy_messages *m, const struct route *r, uint32_t own,
                                char *by_place, char *by_expert, uint64_t unit, bool back)
{
    uint64_t *next = calloc((size_t)own + 1, sizeof *next); // where an expert's next rows lie
    if (next == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    for (uint32_t x = 0; x < own; ++x) {
        next[x + 1] = next[x];
        for (uint32_t e = 0; e < m->sources; ++e)
            next[x + 1] += r->receives[(size_t)e * own + x] * unit;
    }
    for (uint32_t e = 0; e < m->sources; ++e) {
        for (uint32_t x = 0; x < own; ++x) {
            const uint64_t bytes = r->receives[(size_t)e * own + x] * unit;
            memcpy(back ? by_place : by_expert + next[x], back ? by_expert + next[x] : by_place, bytes);
            next[x] += bytes;
            by_place += bytes;
        }
    }
    free(next);
    return SY_OK;
}

/// Rows that arrive from each place, and of all places.
static uint64_t arriving(const struct sy_messages *m, const struct route *r, uint32_t own, uint64_t *by_place)
{
    uint64_t all = 0;
    for (uint32_t e = 0; e < m->sources; ++e) {
        by_place[e] = 0;
        for (uint32_t x = 0; x < own; ++x)
            by_place[e] += r->receives[(size_t)e * own + x];
        all += by_place[e];
    }
    return all;
}

/// Trades rows of `unit` bytes that lie in `here` (by expert) for those of this rank's experts in `there` (by expert,
/// then place), or back.
static enum sy_status trade_rows(struct sy_session *s, const char *what, const struct route *r, uint32_t own,
                                 uint64_t unit, bool back)
{
    struct sy_messages *m = s->messages;
    uint64_t *sends = calloc(2 * (size_t)m->sources, sizeof *sends), *receives = sends + m->sources;
    if (sends == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory");
    for (uint32_t e = 0; e < m->sources; ++e)
        sends[e] = r->sends[e];
    const uint64_t rows = arriving(m, r, own, receives);
    enum sy_status status = reserve(s->ctx, &m->arriving, &m->arriving_room, rows * unit + 1);
    if (status == SY_OK && back)
        status = sort_rows(s->ctx, m, r, own, m->arriving, m->there, unit, true);
    if (status == SY_OK)
        status = back ? trade(s, what, m->arriving, receives, m->here, sends, unit)
                      : trade(s, what, m->here, sends, m->arriving, receives, unit);
    if (status == SY_OK && !back)
        status = sort_rows(s->ctx, m, r, own, m->arriving, m->there, unit, false);
    free(sends);
    return status;
}

/// Rows of the whole step before this rank's micro-batch.
static uint32_t first_row(const struct sy_session *s, const struct sy_exchange_args *p)
{
    return p->decoder ? s->step.row_dec : s->step.row_enc;
}

static enum sy_status exchange_routes(struct sy_session *s, const struct sy_node *n)
{
    const struct sy_exchange_args *p = (const void *)n->args;
    const struct sy_layout *l = s->graph->ranks;
    struct sy_messages *m = s->messages;
    struct sy_runtime *rt = s->runtime;
    struct route *route = &m->routes[p->route];
    const uint32_t own = sy_layout_own_experts(l, sy_layout_place(l), p->experts);
    const uint64_t offs = (uint64_t)p->experts * p->slices + 1, xoffs = (uint64_t)own * m->sources * p->slices + 1;
    int32_t *off = calloc(offs + xoffs, sizeof *off), *xoff = off + offs;
    uint32_t *counts = calloc(xoffs, sizeof *counts);
    enum sy_status status = off != NULL && counts != NULL ? SY_OK : sy_fail(s->ctx, SY_NOMEM, "out of host memory");
    if (status == SY_OK)
        status = reserve_both(s, p->slots * sizeof(int32_t), p->xslots * sizeof(int32_t));
    if (status == SY_OK)
        status = sy_runtime_read_part(rt, n->bind[0], 0, offs, off);
    if (status == SY_OK)
        status = sy_runtime_read_part(rt, n->bind[1], 0, p->slots, m->here);
    for (uint32_t i = 0; i < p->slots && status == SY_OK; ++i)
        ((int32_t *)(void *)m->here)[i] += (int32_t)(first_row(s, p) * p->k); // unused ones are not sent
    if (status == SY_OK)
        status = trade_counts(s, n, p, off, counts);
    if (status == SY_OK)
        status = lay_out(s, n, p, off, counts, route, xoff);
    if (status == SY_OK)
        status = trade_rows(s, n->label, route, own, sizeof(int32_t), false);
    for (uint64_t i = status == SY_OK ? (uint64_t)xoff[xoffs - 1] : p->xslots; i < p->xslots; ++i)
        ((int32_t *)(void *)m->there)[i] = -1;
    if (status == SY_OK)
        status = sy_runtime_write_part(rt, n->bind[2], 0, xoffs, xoff);
    if (status == SY_OK)
        status = sy_runtime_write_part(rt, n->bind[3], 0, p->xslots, m->there);
    free(off);
    free(counts);
    return status;
}

static enum sy_status exchange_rows(struct sy_session *s, const struct sy_node *n)
{
    const struct sy_exchange_args *p = (const void *)n->args;
    const struct sy_layout *l = s->graph->ranks;
    struct sy_messages *m = s->messages;
    const struct route *route = &m->routes[p->route];
    const uint32_t own = sy_layout_own_experts(l, sy_layout_place(l), p->experts);
    const uint64_t unit = p->dim * sy_dtype_bytes(sy_graph_tensor(s->graph, n->bind[0])->dtype);
    uint64_t here = 0, there = 0;
    for (uint32_t e = 0; e < m->sources; ++e)
        here += route->sends[e];
    for (uint32_t k = 0; k < m->sources * own; ++k)
        there += route->receives[k];
    SY_TRY(reserve_both(s, here * unit + 1, there * unit + 1));
    const uint64_t from = p->back ? there : here, to = p->back ? here : there;
    if (from != 0)
        SY_TRY(sy_runtime_read_part(s->runtime, n->bind[0], 0, from * p->dim, p->back ? m->there : m->here));
    SY_TRY(trade_rows(s, n->label, route, own, unit, p->back != 0));
    return to == 0 ? SY_OK
                   : sy_runtime_write_part(s->runtime, n->bind[1], 0, to * p->dim, p->back ? m->here : m->there);
}

// ---- sums over ranks -----------------------------------------------------------------------------------------------

/// The ranks at places first + i · stride: a sum's tree goes over them, neighbours first.
struct axis {
    uint32_t first, stride, size;
};

/// The pairwise tree over all ranks, in place and everywhere the same: each round a rank and its partner share what
/// they have between them, so that n elements are sent about twice whatever the number of ranks.
static enum sy_status sum_over(struct sy_ctx *ctx, struct sy_group *group, const char *what, float *x, float *partners,
                               uint64_t n)
{
    const uint32_t me = group->rank;
    uint64_t first[32], count[32], at = 0, left = n; // the part that was whole before each round
    uint32_t rounds = 0;
    for (uint32_t bit = 1; bit < group->size; bit *= 2, ++rounds) {
        const uint64_t low = (left + 1) / 2;
        const bool upper = (me & bit) != 0;
        const uint64_t keep = upper ? at + low : at, kept = upper ? left - low : low;
        const uint64_t give = upper ? at : at + low, given = left - kept;
        const uint32_t peer = me ^ bit;
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
        const uint32_t peer = me ^ (1u << rounds);
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
    if (g->packs[pack].sources > 1)
        return (struct axis){.first = sy_layout_place(l), .stride = l->expert, .size = l->data};
    return (struct axis){.stride = 1, .size = sy_layout_ranks(l)};
}

/// The sums of few values, on all ranks. `own`: only where it is 1 does this rank's value count, else it is 0.
static enum sy_status sum_all(struct sy_session *s, const struct sy_node *n, sy_tid x, const int32_t *own)
{
    const struct sy_ranks_args *p = (const void *)n->args;
    SY_TRY(reserve_both(s, p->n * sizeof(float), p->n * sizeof(float)));
    float *values = (float *)(void *)s->messages->here;
    SY_TRY(sy_runtime_read_part(s->runtime, x, 0, p->n, values));
    for (uint32_t i = 0; i < p->n && own != NULL; ++i)
        values[i] = own[i] != 0 ? values[i] : 0.0f;
    SY_TRY(sum_over(s->ctx, s->graph->ranks->group, n->label, values, (float *)(void *)s->messages->there, p->n));
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

/// The shards of a pack under way between the ranks that hold it.
struct shards {
    struct axis axis;
    uint32_t me;
    struct sy_shard mine;
    struct sy_transfer *list; ///< Owned.
    size_t count;
};

static enum sy_status shards_open(const struct sy_session *s, uint32_t pack, struct shards *out)
{
    *out = (struct shards){.axis = holders(s->graph, pack), .me = sy_shard_own(s->graph, pack)};
    out->mine = sy_shard_of(s->graph, pack, out->me);
    out->list = calloc(2 * (size_t)out->axis.size, sizeof *out->list);
    return out->list != NULL ? SY_OK : sy_fail(s->ctx, SY_NOMEM, "out of host memory");
}

/// Adds what goes to the r-th holder and what comes from it: [first, end) of `values` there, [first, end) of `from`
/// here.
static void shards_add(struct shards *x, uint32_t r, float *to, struct sy_shard there, float *from, uint64_t here)
{
    const uint32_t peer = x->axis.first + r * x->axis.stride;
    x->list[x->count++] = (struct sy_transfer){.peer = peer, .data = from, .bytes = here * sizeof(float)};
    x->list[x->count++] = (struct sy_transfer){
        .peer = peer, .send = true, .data = to, .bytes = (there.end - there.first) * sizeof(float)};
}

/// Every rank gets all ranks' values of its own shard, and adds them up.
static enum sy_status sum_shards(struct sy_session *s, const struct sy_node *n)
{
    const struct sy_ranks_args *p = (const void *)n->args;
    struct shards x;
    SY_TRY(shards_open(s, p->pack, &x));
    const uint64_t count = x.mine.end - x.mine.first;
    enum sy_status status = reserve_both(s, p->n * sizeof(float), (x.axis.size * count + 1) * sizeof(float));
    float *values = (float *)(void *)s->messages->here, *theirs = (float *)(void *)s->messages->there;
    if (status == SY_OK)
        status = sy_runtime_read_part(s->runtime, n->bind[0], 0, p->n, values);
    for (uint32_t r = 0; r < x.axis.size && status == SY_OK; ++r) {
        const struct sy_shard shard = sy_shard_of(s->graph, p->pack, r);
        if (r != x.me)
            shards_add(&x, r, values + shard.first, shard, theirs + r * count, count);
    }
    if (status == SY_OK)
        status = sy_group_exchange(s->ctx, s->graph->ranks->group, n->label, x.list, x.count);
    free(x.list);
    if (status != SY_OK || count == 0)
        return status;
    memcpy(theirs + x.me * count, values + x.mine.first, count * sizeof(float));
    add_tree(theirs, x.axis.size, count);
    return sy_runtime_write_part(s->runtime, n->bind[0], x.mine.first, count, theirs);
}

/// Every rank sends its shard's new values to the others.
static enum sy_status share_shards(struct sy_session *s, const struct sy_node *n)
{
    const struct sy_ranks_args *p = (const void *)n->args;
    struct shards x;
    SY_TRY(shards_open(s, p->pack, &x));
    const uint64_t first = x.mine.first, end = x.mine.end;
    enum sy_status status = reserve_both(s, p->n * sizeof(float), 1);
    float *values = (float *)(void *)s->messages->here;
    if (status == SY_OK && end != first)
        status = sy_runtime_read_part(s->runtime, n->bind[0], first, end - first, values + first);
    for (uint32_t r = 0; r < x.axis.size && status == SY_OK; ++r) {
        const struct sy_shard shard = sy_shard_of(s->graph, p->pack, r);
        if (r != x.me)
            shards_add(&x, r, values + first, x.mine, values + shard.first, shard.end - shard.first);
    }
    if (status == SY_OK)
        status = sy_group_exchange(s->ctx, s->graph->ranks->group, n->label, x.list, x.count);
    free(x.list);
    if (status == SY_OK && first != 0)
        status = sy_runtime_write_part(s->runtime, n->bind[0], 0, first, values);
    if (status == SY_OK && end != p->n)
        status = sy_runtime_write_part(s->runtime, n->bind[0], end, p->n - end, values + end);
    return status;
}

enum sy_status sy_segment_message(struct sy_session *s, const struct sy_segment *segment)
{
    const struct sy_graph *g = s->graph;
    const struct sy_node *n = &g->nodes[s->segments.legs.list[segment->leg].first];
    const struct sy_ranks_args *p = (const void *)n->args;
    switch (n->op) {
    case SY_OP_exchange_routes: return exchange_routes(s, n);
    case SY_OP_exchange_rows: return exchange_rows(s, n);
    case SY_OP_sum_ranks:
        return (g->packs[p->pack].flags & SY_PACK_SUMS) != 0 ? sum_all(s, n, n->bind[0], NULL) : sum_shards(s, n);
    case SY_OP_gather_norms: return sum_all(s, n, n->bind[1], sy_graph_tensor(g, n->bind[0])->data);
    case SY_OP_share_ranks: return share_shards(s, n);
    default: assert(!"a message"); return SY_OK;
    }
}

enum sy_status sy_layout_add(struct sy_ctx *ctx, const struct sy_layout *layout, uint64_t *values, size_t n)
{
    if (sy_layout_ranks(layout) == 1 || n == 0)
        return SY_OK;
    uint64_t *all = calloc(n * layout->group->size, sizeof *all);
    if (all == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    const enum sy_status status =
        sy_group_collect(ctx, layout->group, "counts of a step's tokens", values, n * sizeof *values, all);
    for (size_t i = 0; i < n && status == SY_OK; ++i) {
        values[i] = 0;
        for (uint32_t r = 0; r < layout->group->size; ++r)
            values[i] += all[r * n + i];
    }
    free(all);
    return status;
}
