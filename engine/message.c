// SPDX-License-Identifier: Apache-2.0
#include "engine/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/message_private.h"
#include "engine/split.h"

// ---- as ops --------------------------------------------------------------------------------------------------------

/// exchange_routes' sizes on the experts' side depend on the rank; the emitter makes the tensors fit.
static uint64_t routes_elements(const void *args, uint32_t i)
{
    const struct sy_exchange_args *p = args;
    const uint64_t parts = p->tiles != 0 ? SY_ROWS_PARTS : 0;
    const uint64_t counts[] = {
        (uint64_t)p->experts * p->slices + 1, p->slots, 1, p->xslots, parts * sy_parts_stride(4 * (uint64_t)p->tiles),
        parts * sy_parts_stride(p->xslots)};
    return counts[i];
}

static uint64_t rows_elements(const void *args, uint32_t i)
{
    const struct sy_exchange_args *p = args;
    if (i == 2)
        return p->part != 0 && p->back == 0; // what a node must not bind to be independent of this part
    return (uint64_t)(p->back == (i == 0) ? p->xslots : p->slots) * p->dim;
}

static uint64_t sum_elements(const void *args, uint32_t i)
{
    (void)i;
    return ((const struct sy_ranks_args *)args)->n;
}

static uint64_t split_elements(const void *args, uint32_t i)
{
    (void)i;
    return ((const struct sy_parts_args *)args)->n;
}

/// mean_parts: the ranges say what there must be of the others.
static uint64_t mean_elements(const void *args, uint32_t i)
{
    return i == 0 ? 3 * (uint64_t)((const struct sy_parts_args *)args)->ranges : 1;
}

static const struct sy_op_impl routes_impl = {.elements = routes_elements, .flops = sy_no_flops},
                               rows_impl = {.elements = rows_elements, .flops = sy_no_flops},
                               sum_impl = {.elements = sum_elements, .flops = sy_no_flops},
                               split_impl = {.elements = split_elements, .flops = sy_no_flops},
                               mean_impl = {.elements = mean_elements, .flops = sy_no_flops};

const struct sy_op_info *sy_message_info(enum sy_op_id op)
{
    static const struct sy_op_info infos[] = {
        {.name = "exchange_routes",
         .types = SY_TYPES_F,
         .args_bytes = sizeof(struct sy_exchange_args),
         .binding_count = 6,
         .input_count = 2,
         .binding_names = {"off", "src", "xoff", "xsrc", "tiles", "rows"},
         .binding_types = {'i', 'i', 'i', 'i', 'i', 'i'},
         .write_mask = 0x3c,
         .read_mask = 0x3,
         .const_binding = UINT32_MAX,
         .impl = &routes_impl},
        {.name = "exchange_rows",
         .types = SY_TYPES_F | SY_TYPES_B,
         .args_bytes = sizeof(struct sy_exchange_args),
         .binding_count = 3,
         .input_count = 1,
         .binding_names = {"x", "y", "tiles"},
         .binding_types = {'t', 't', 'i'},
         .write_mask = 0x2,
         .read_mask = 0x5,
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
        {.name = "sum_parts",
         .types = SY_TYPES_F | SY_TYPES_B,
         .args_bytes = sizeof(struct sy_parts_args),
         .binding_count = 2,
         .input_count = 1,
         .binding_names = {"x", "y"},
         .binding_types = {'t', 't'},
         .write_mask = 0x2,
         .read_mask = 0x1,
         .const_binding = UINT32_MAX,
         .impl = &split_impl},
        {.name = "mean_parts",
         .types = SY_TYPES_F,
         .args_bytes = sizeof(struct sy_parts_args),
         .binding_count = 4,
         .input_count = 1,
         .binding_names = {"ranges", "x", "y", "z"},
         .binding_types = {'i', 'f', 'f', 'f'},
         .write_mask = 0xe,
         .read_mask = 0xf,
         .const_binding = UINT32_MAX,
         .impl = &mean_impl},
    };
    assert(sy_op_is_message(op) && op < SY_OP_END);
    return &infos[op - SY_OP_COUNT - 1];
}

bool sy_message_travels(const struct sy_graph *g, uint32_t node)
{
    const struct sy_node *n = &g->nodes[node];
    const struct sy_ranks_args *a = (const void *)n->args;
    const struct sy_exchange_args *x = (const void *)n->args;
    return (n->op == SY_OP_exchange_rows && x->part != SY_ROWS_OWN) || n->op == SY_OP_share_ranks ||
           (n->op == SY_OP_sum_parts && sy_layout_parts(g->ranks) == 2) ||
           (n->op == SY_OP_sum_ranks && ((g->packs[a->pack].flags & SY_PACK_SUMS) == 0 || g->ranks->turns != NULL));
}

/// Whether `n` is about other rows than the part that `m` brings: another part, or experts with another table of rows.
static bool other_part(const struct sy_graph *g, const struct sy_node *m, const struct sy_node *n)
{
    const struct sy_exchange_args *part = (const void *)m->args;
    if (m->op != SY_OP_exchange_rows || part->part == 0)
        return false;
    if (n->op == SY_OP_exchange_rows)
        return n->bind[1] == m->bind[1];
    return n->op == SY_OP_matmul && n->bind[2] != SY_NONE && n->bind[2] != m->bind[2] && m->bind[2] != SY_NONE &&
           sy_graph_tensor(g, n->bind[2])->parent == sy_graph_tensor(g, m->bind[2])->parent;
}

bool sy_message_needed(const struct sy_graph *g, uint32_t message, uint32_t node)
{
    const struct sy_node *m = &g->nodes[message], *n = &g->nodes[node];
    if (other_part(g, m, n))
        return false;
    const struct sy_op_info *info = sy_op_info(m->op), *used = sy_op_info(n->op);
    for (uint32_t i = 0; i < info->binding_count; ++i)
        for (uint32_t k = 0; k < used->binding_count && (info->write_mask >> i & 1u) != 0; ++k)
            if (sy_graph_overlap(g, m->bind[i], n->bind[k]))
                return true;
    return false;
}

// ---- state ---------------------------------------------------------------------------------------------------------

/// Those that exchange rows with this rank, where they are to do so in two steps.
static enum sy_status find_team(struct sy_ctx *ctx, const struct sy_layout *l, struct sy_team **out)
{
    const uint32_t count = sy_layout_sources(l);
    if (l->group == NULL || !l->group->two_level)
        return SY_OK;
    uint32_t *ranks = calloc(count, sizeof *ranks);
    if (ranks == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    for (uint32_t e = 0; e < count; ++e)
        ranks[e] = sy_layout_peer(l, e);
    const enum sy_status status = sy_team_create(ctx, l->group, ranks, count, out);
    free(ranks);
    return status;
}

enum sy_status sy_messages_create(const struct sy_session *s, struct sy_messages **out)
{
    struct sy_messages *m = calloc(1, sizeof *m);
    bool good = m != NULL;
    const struct sy_layout *l = s->graph->ranks;
    for (uint32_t i = 0; i < s->model.sparse_count && good; ++i) {
        const uint32_t most = s->model.sparse[i].experts;
        m->routes[i].sends = calloc(sy_layout_sources(l), sizeof(uint32_t));
        m->routes[i].first = calloc(sy_layout_sources(l), sizeof(uint32_t));
        m->routes[i].receives = calloc((size_t)sy_layout_sources(l) * most, sizeof(uint32_t));
        good = m->routes[i].sends != NULL && m->routes[i].first != NULL && m->routes[i].receives != NULL;
    }
    if (good) {
        m->count = s->segments.legs.slots;
        m->parcels = calloc((size_t)m->count + 1, sizeof *m->parcels);
        m->queue = calloc((size_t)m->count + 1, sizeof *m->queue);
        m->times = calloc(s->segments.legs.count + 1, sizeof *m->times);
        good = m->parcels != NULL && m->queue != NULL && m->times != NULL;
    }
    if (!good) {
        sy_messages_destroy(&m);
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory: messages between ranks");
    }
    m->sources = sy_layout_sources(l);
    const enum sy_status status = find_team(s->ctx, l, &m->team);
    if (status != SY_OK)
        sy_messages_destroy(&m);
    *out = m;
    return status;
}

static void end_reads(struct sy_parcel *p)
{
    while (p->read_count != 0)
        sy_event_destroy(&p->reads[--p->read_count]);
}

static void finish(struct sy_parcel *p)
{
    end_reads(p);
    free(p->reads);
    sy_relay_drop(&p->travel);
    free(p->list);
    free(p->out);
    free(p->in);
}

void sy_messages_destroy(struct sy_messages **messages)
{
    struct sy_messages *m = *messages;
    if (m == NULL)
        return;
    for (size_t i = 0; i < SY_MAX_SPARSE; ++i) {
        free(m->routes[i].sends);
        free(m->routes[i].first);
        free(m->routes[i].receives);
    }
    for (uint32_t i = 0; i < m->count && m->parcels != NULL; ++i)
        finish(&m->parcels[i]);
    finish(&m->scratch);
    for (uint32_t i = 0; i < SY_DRAINS; ++i)
        sy_event_destroy(&m->drains[i].event);
    sy_team_destroy(&m->team);
    free(m->times);
    free(m->parcels);
    free(m->queue);
    free(m);
    *messages = NULL;
}

static enum sy_status reserve(struct sy_ctx *ctx, char **data, uint64_t *room, uint64_t bytes)
{
    if (bytes < *room)
        return SY_OK;
    char *bigger = realloc(*data, bytes + 1);
    if (bigger == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory: %llu bytes of a message", (unsigned long long)bytes);
    *data = bigger;
    *room = bytes + 1;
    return SY_OK;
}

enum sy_status sy_parcel_reserve(struct sy_ctx *ctx, struct sy_parcel *p, uint64_t out, uint64_t in)
{
    SY_TRY(reserve(ctx, &p->out, &p->out_room, out));
    return reserve(ctx, &p->in, &p->in_room, in);
}

enum sy_status sy_parcel_add(struct sy_ctx *ctx, struct sy_parcel *p, uint32_t peer, bool send, void *data,
                             uint64_t bytes)
{
    if (p->count == p->room) {
        const size_t room = p->room == 0 ? 16 : 2 * p->room;
        struct sy_transfer *bigger = realloc(p->list, room * sizeof *bigger);
        if (bigger == NULL)
            return sy_fail(ctx, SY_NOMEM, "out of host memory");
        p->list = bigger;
        p->room = room;
    }
    p->list[p->count++] = (struct sy_transfer){.peer = peer, .send = send, .data = data, .bytes = bytes};
    return SY_OK;
}

enum sy_status sy_parcel_read(struct sy_session *s, struct sy_parcel *p, sy_tid t, uint64_t first, uint64_t count,
                              char *to)
{
    if (count == 0)
        return SY_OK;
    if (sy_graph_tensor(s->graph, t)->pieces != SY_NONE)
        return sy_runtime_read_part(s->runtime, t, first, count, to);
    if (p->read_count == p->read_room) {
        const size_t room = p->read_room == 0 ? 4 : 2 * p->read_room;
        struct sy_event **bigger = realloc(p->reads, room * sizeof *bigger);
        if (bigger == NULL)
            return sy_fail(s->ctx, SY_NOMEM, "out of host memory");
        p->reads = bigger;
        p->read_room = room;
    }
    p->reads[p->read_count] = NULL;
    SY_TRY(sy_runtime_read_start(s->runtime, t, first, count, to, &p->reads[p->read_count]));
    ++p->read_count;
    return SY_OK;
}

// ---- on the way ----------------------------------------------------------------------------------------------------

static enum sy_status pack(struct sy_session *s, struct sy_parcel *p)
{
    switch ((int)p->node->op) {
    case SY_OP_exchange_rows: return sy_rows_pack(s, p);
    case SY_OP_sum_parts: return sy_pair_pack(s, p);
    default: return sy_shards_pack(s, p);
    }
}

static enum sy_status address(struct sy_session *s, struct sy_parcel *p)
{
    switch ((int)p->node->op) {
    case SY_OP_exchange_rows: return sy_rows_address(s, p);
    case SY_OP_sum_parts: return sy_pair_address(s, p);
    default: return sy_shards_address(s, p);
    }
}

static enum sy_status unpack(struct sy_session *s, struct sy_parcel *p)
{
    switch ((int)p->node->op) {
    case SY_OP_exchange_rows: return sy_rows_unpack(s, p);
    case SY_OP_sum_parts: return sy_pair_unpack(s, p);
    default: return sy_shards_unpack(s, p);
    }
}

/// What is read of a message has arrived here, and goes on its way.
static enum sy_status send(struct sy_session *s, struct sy_parcel *p)
{
    SY_TRY(address(s, p));
    SY_TRY(sy_watch_sent(s, p));
    const struct sy_team *team = p->node->op == SY_OP_exchange_rows ? s->messages->team : NULL;
    return sy_relay_start(s->ctx, s->graph->ranks->group, p->node->label, p->list, p->count, team, &p->travel);
}

/// Sends what has been read, in the order in which the messages were started: that of the ranks' exchanges.
static enum sy_status send_read(struct sy_session *s)
{
    struct sy_messages *m = s->messages;
    while (m->queued != 0) {
        struct sy_parcel *p = &m->parcels[m->queue[0]];
        bool done = true;
        for (size_t i = 0; i < p->read_count && done; ++i)
            SY_TRY(sy_event_done(p->reads[i], &done));
        if (!done)
            return SY_OK;
        end_reads(p);
        memmove(m->queue, m->queue + 1, --m->queued * sizeof *m->queue);
        SY_TRY(send(s, p));
    }
    return SY_OK;
}

static enum sy_status look(struct sy_session *s, struct sy_parcel *p, bool wait)
{
    bool done = false;
    if (p->travel == NULL)
        return SY_OK;
    SY_TRY(sy_relay_look(s->ctx, p->travel, wait, &done));
    if (!done)
        return SY_OK;
    sy_relay_drop(&p->travel);
    p->arrived = true;
    sy_watch_arrived(s, p);
    return unpack(s, p);
}

enum sy_status sy_messages_look(struct sy_session *s)
{
    if (s->messages == NULL)
        return SY_OK;
    SY_TRY(send_read(s));
    for (uint32_t i = 0; i < s->messages->count; ++i)
        SY_TRY(look(s, &s->messages->parcels[i], false));
    return SY_OK;
}

/// Whether it has begun: what is waited for otherwise must not overtake it.
static enum sy_status send_all(struct sy_session *s)
{
    for (uint64_t looks = 0; s->messages->queued != 0; ++looks) {
        SY_TRY(sy_messages_look(s));
        if (s->messages->queued != 0)
            sy_group_rest(looks);
    }
    return SY_OK;
}

static enum sy_status await(struct sy_session *s, struct sy_parcel *p)
{
    double idle = 0.0; // since when the device has nothing to do
    struct sy_drain *drain = p->arrived ? NULL : sy_watch_drain(s);
    for (uint64_t looks = 0; !p->arrived; ++looks) {
        SY_TRY(sy_messages_look(s));
        SY_TRY(look(s, p, true));
        SY_TRY(sy_watch_idle(drain, &idle));
        if (!p->arrived)
            sy_group_rest(looks);
    }
    sy_watch_waited(s, p, idle);
    return SY_OK;
}

/// What is done once it was started.
static enum sy_status together(struct sy_session *s, const struct sy_node *n)
{
    switch ((int)n->op) {
    case SY_OP_exchange_routes: return sy_routes_exchange(s, n);
    case SY_OP_sum_parts: return sy_parts_sum(s, n);
    case SY_OP_mean_parts: return sy_parts_mean(s, n);
    case SY_OP_gather_norms: return sy_sums_exchange(s, n, n->bind[1], sy_graph_tensor(s->graph, n->bind[0])->data);
    default: return sy_sums_exchange(s, n, n->bind[0], NULL);
    }
}

enum sy_status sy_message_start(struct sy_session *s, const struct sy_segment *segment)
{
    const struct sy_graph *g = s->graph;
    const struct sy_leg *leg = &s->segments.legs.list[segment->leg];
    const struct sy_node *n = &g->nodes[leg->first];
    struct sy_messages *m = s->messages;
    struct sy_parcel *p = &m->parcels[leg->slot];
    if (!sy_message_travels(g, leg->first)) {
        if (n->op == SY_OP_exchange_rows)
            return sy_rows_copy(s, n);
        SY_TRY(send_all(s));
        SY_TRY(sy_watch_begin(s));
        SY_TRY(together(s, n));
        sy_watch_done(s, segment->leg);
        return SY_OK;
    }
    assert(p->node == NULL);
    p->node = n;
    p->leg = segment->leg;
    p->arrived = false;
    m->queue[m->queued++] = leg->slot;
    SY_TRY(pack(s, p));
    return m->watch == SY_WATCH_ALONE ? await(s, p) : sy_messages_look(s);
}

enum sy_status sy_message_await(struct sy_session *s, const struct sy_segment *segment)
{
    struct sy_parcel *p = &s->messages->parcels[s->segments.legs.list[segment->leg].slot];
    SY_TRY(await(s, p));
    p->node = NULL;
    return SY_OK;
}

enum sy_status sy_layout_add(struct sy_ctx *ctx, const struct sy_layout *layout, uint64_t *values, size_t n)
{
    if (sy_layout_world(layout) == 1 || n == 0)
        return SY_OK;
    struct sy_group *group = layout->group;
    const size_t words = n + 1;
    uint64_t *all = calloc(words * (group->size + 1), sizeof *all), *mine = all + words * group->size;
    if (all == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    memcpy(mine, values, n * sizeof *values);
    mine[n] = (uint64_t)group->ask;
    const enum sy_status status =
        sy_group_collect(ctx, group, "counts of a step's tokens", mine, words * sizeof *mine, all);
    memset(values, 0, status == SY_OK ? n * sizeof *values : 0);
    for (uint32_t r = 0; r < group->size && status == SY_OK; ++r) {
        for (size_t i = 0; i < n && r % sy_layout_parts(layout) == 0; ++i) // the ranks of a place have the same
            values[i] += all[r * words + i];
        group->asked = group->asked != 0 ? group->asked : (int)all[r * words + n];
    }
    free(all);
    return status;
}
