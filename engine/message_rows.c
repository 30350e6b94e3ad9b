// SPDX-License-Identifier: Apache-2.0
// message_rows.c: rows to the experts' owners, and back.
#include <stdlib.h>
#include <string.h>

#include "engine/message_private.h"

/// What goes to each place from `from`, one after the other, and comes from there to `to`; what stays is copied. Sizes
/// are in units.
static enum sy_status address(struct sy_session *s, struct sy_parcel *p, char *from, const uint64_t *sends, char *to,
                              const uint64_t *receives, uint64_t unit)
{
    const struct sy_layout *l = s->graph->ranks;
    const uint32_t sources = sy_layout_sources(l), place = sy_layout_place(l);
    p->count = 0;
    for (uint32_t e = 0; e < sources; ++e) {
        const uint32_t peer = sy_layout_peer(l, e);
        if (e == place) {
            memcpy(to, from, sends[e] * unit);
        } else {
            SY_TRY(sy_parcel_add(s->ctx, p, peer, false, to, receives[e] * unit));
            SY_TRY(sy_parcel_add(s->ctx, p, peer, true, from, sends[e] * unit));
        }
        from += sends[e] * unit;
        to += receives[e] * unit;
    }
    return SY_OK;
}

/// The same, waited for.
static enum sy_status trade(struct sy_session *s, const char *what, char *from, const uint64_t *sends, char *to,
                            const uint64_t *receives, uint64_t unit)
{
    struct sy_parcel *p = &s->messages->scratch;
    SY_TRY(address(s, p, from, sends, to, receives, unit));
    return sy_relay_exchange(s->ctx, s->graph->ranks->group, what, p->list, p->count, s->messages->team);
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
                              const int32_t *off, const uint32_t *counts, struct sy_route *route, int32_t *xoff)
{
    const struct sy_layout *l = s->graph->ranks;
    const uint32_t sources = s->messages->sources, own = sy_layout_own_experts(l, sy_layout_place(l), p->experts);
    uint64_t at = 0;
    for (uint32_t e = 0; e < sources; ++e)
        route->sends[e] = (uint32_t)(off[sy_layout_first_expert(l, e + 1, p->experts) * p->slices] -
                                     off[sy_layout_first_expert(l, e, p->experts) * p->slices]);
    for (uint32_t e = 0; e < sources; ++e) {
        const uint32_t first = sy_layout_first_expert(l, e, p->experts);
        const uint32_t half = sy_rows_half(sy_layout_own_experts(l, e, p->experts));
        route->first[e] = (uint32_t)(off[(first + half) * p->slices] - off[first * p->slices]);
    }
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

/// This rank's experts.
static uint32_t own_experts(const struct sy_session *s, const struct sy_exchange_args *p)
{
    return sy_layout_own_experts(s->graph->ranks, sy_layout_place(s->graph->ranks), p->experts);
}

/// Rows of one side and the other, of all experts or of one half of each place's: [sources] each, malloc'ed at once.
struct traffic {
    uint64_t *sends, *receives, sent, received;
    uint64_t *at;         ///< Where those that are sent begin on this rank's side.
    uint32_t own, x0, x1; ///< This rank's experts, and which of them are meant.
    uint64_t from;        ///< Where their rows begin.
};

static enum sy_status traffic_of(const struct sy_session *s, const struct sy_exchange_args *p, struct traffic *out)
{
    const struct sy_route *r = &s->messages->routes[p->route];
    const uint32_t sources = s->messages->sources, own = own_experts(s, p), half = sy_rows_half(own);
    *out = (struct traffic){.sends = calloc(3 * (size_t)sources, sizeof *out->sends), .own = own, .x1 = own};
    if (out->sends == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory");
    out->receives = out->sends + sources;
    out->at = out->receives + sources;
    out->x0 = p->part == SY_ROWS_SECOND ? half : 0;
    out->x1 = p->part == SY_ROWS_FIRST ? half : own;
    uint64_t at = 0;
    for (uint32_t e = 0; e < sources; at += r->sends[e++]) {
        const uint32_t first = r->first[e], second = r->sends[e] - first;
        out->at[e] = at + (p->part == SY_ROWS_SECOND ? first : 0);
        out->sends[e] = p->part == SY_ROWS_FIRST ? first : p->part == SY_ROWS_SECOND ? second : r->sends[e];
        out->sent += out->sends[e];
        for (uint32_t x = 0; x < own; ++x) {
            const uint64_t rows = r->receives[(size_t)e * own + x];
            out->from += x < out->x0 ? rows : 0;
            out->receives[e] += x >= out->x0 && x < out->x1 ? rows : 0;
        }
        out->received += out->receives[e];
    }
    return SY_OK;
}

/// Rows of `unit` bytes in the order of arrival (by place, then expert) → by expert, then place; or the other way
/// round.
static enum sy_status sort_rows(struct sy_session *s, const struct sy_exchange_args *p, const struct traffic *t,
                                char *by_place, char *by_expert, uint64_t unit, bool back)
{
    const struct sy_route *r = &s->messages->routes[p->route];
    uint64_t *next = calloc((size_t)t->own + 1, sizeof *next); // where an expert's next rows lie
    if (next == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory");
    for (uint32_t x = t->x0; x < t->x1; ++x) {
        next[x + 1] = next[x];
        for (uint32_t e = 0; e < s->messages->sources; ++e)
            next[x + 1] += r->receives[(size_t)e * t->own + x] * unit;
    }
    for (uint32_t e = 0; e < s->messages->sources; ++e) {
        for (uint32_t x = t->x0; x < t->x1; ++x) {
            const uint64_t bytes = r->receives[(size_t)e * t->own + x] * unit;
            memcpy(back ? by_place : by_expert + next[x], back ? by_expert + next[x] : by_place, bytes);
            next[x] += bytes;
            by_place += bytes;
        }
    }
    free(next);
    return SY_OK;
}

/// Rows of the whole step before this rank's micro-batch.
static uint32_t first_row(const struct sy_session *s, const struct sy_exchange_args *p)
{
    return p->decoder ? s->step.row_dec : s->step.row_enc;
}

/// Appends rows [row, end) of an expert to a part: its tiles, and which rows they are.
static void put_tiles(const struct sy_exchange_args *p, uint32_t part, uint32_t expert, uint64_t row, uint64_t end,
                      uint32_t *count, int32_t *tiles, int32_t *rows, const int32_t *theirs)
{
    tiles += part * sy_parts_stride(4 * (uint64_t)p->tiles);
    rows += part * sy_parts_stride(p->xslots);
    for (uint64_t i = row; i < end; ++i)
        rows[i] = theirs[i];
    for (; row < end; row += p->tile_rows) {
        int32_t *t = tiles + 4 * (uint64_t)count[part]++;
        t[0] = (int32_t)expert;
        t[1] = (int32_t)row;
        t[2] = (int32_t)(row + p->tile_rows < end ? row + p->tile_rows : end);
        t[3] = 0;
        assert(count[part] <= p->tiles);
    }
}

/// Which tiles and rows each part has.
static enum sy_status write_parts(struct sy_session *s, const struct sy_node *n, const int32_t *theirs)
{
    const struct sy_exchange_args *p = (const void *)n->args;
    const struct sy_route *r = &s->messages->routes[p->route];
    const uint64_t all = SY_ROWS_PARTS * sy_parts_stride(4 * (uint64_t)p->tiles);
    const uint64_t places = SY_ROWS_PARTS * sy_parts_stride(p->xslots);
    const uint32_t own = own_experts(s, p), me = sy_layout_place(s->graph->ranks), half = sy_rows_half(own);
    uint32_t count[SY_ROWS_PARTS] = {0};
    int32_t *tiles = malloc((all + places) * sizeof *tiles), *rows = tiles + all;
    if (tiles == NULL)
        return sy_fail(s->ctx, SY_NOMEM, "out of host memory");
    memset(tiles, 0xff, (all + places) * sizeof *tiles); // −1 everywhere
    uint64_t at = 0;
    for (uint32_t x = 0; x < own; ++x)
        for (uint32_t e = 0, first; e < s->messages->sources;) { // other ranks' rows side by side are one run
            const uint64_t from = at;
            first = e;
            do
                at += r->receives[(size_t)e++ * own + x];
            while (first != me && e < s->messages->sources && e != me);
            const uint32_t part = first == me ? (x < half ? 0 : SY_ROWS_PARTS - 1) : (x < half ? 1 : 2);
            put_tiles(p, part, x, from, at, count, tiles, rows, theirs);
        }
    enum sy_status status = sy_runtime_write_part(s->runtime, n->bind[4], 0, all, tiles);
    if (status == SY_OK)
        status = sy_runtime_write_part(s->runtime, n->bind[5], 0, places, rows);
    free(tiles);
    return status;
}

/// Which rows they are that come: `mine` [slots] by expert → `theirs` [xslots] by own expert, then place.
static enum sy_status trade_sources(struct sy_session *s, const struct sy_node *n, const struct sy_exchange_args *p,
                                    int32_t *mine, int32_t *theirs)
{
    struct traffic t;
    int32_t *arriving = NULL;
    enum sy_status status = traffic_of(s, p, &t);
    for (uint32_t i = 0; i < p->slots; ++i)
        mine[i] += (int32_t)(first_row(s, p) * p->k); // unused ones are not sent
    if (status == SY_OK && (arriving = malloc((t.received + 1) * sizeof *arriving)) == NULL)
        status = sy_fail(s->ctx, SY_NOMEM, "out of host memory");
    if (status == SY_OK)
        status = trade(s, n->label, (char *)mine, t.sends, (char *)arriving, t.receives, sizeof *mine);
    if (status == SY_OK)
        status = sort_rows(s, p, &t, (char *)arriving, (char *)theirs, sizeof *mine, false);
    for (uint64_t i = t.received; i < p->xslots && status == SY_OK; ++i)
        theirs[i] = -1;
    free(arriving);
    free(t.sends);
    return status;
}

enum sy_status sy_routes_exchange(struct sy_session *s, const struct sy_node *n)
{
    const struct sy_exchange_args *p = (const void *)n->args;
    struct sy_messages *m = s->messages;
    struct sy_route *route = &m->routes[p->route];
    const uint64_t offs = (uint64_t)p->experts * p->slices + 1;
    const uint64_t xoffs = (uint64_t)own_experts(s, p) * m->sources * p->slices + 1;
    int32_t *off = calloc(offs + xoffs, sizeof *off), *xoff = off + offs;
    int32_t *mine = calloc((uint64_t)p->slots + p->xslots, sizeof *mine), *theirs = mine + p->slots;
    uint32_t *counts = calloc(xoffs, sizeof *counts);
    const bool room = off != NULL && mine != NULL && counts != NULL;
    enum sy_status status = room ? SY_OK : sy_fail(s->ctx, SY_NOMEM, "out of host memory");
    if (status == SY_OK)
        status = sy_runtime_read_part(s->runtime, n->bind[0], 0, offs, off);
    if (status == SY_OK)
        status = sy_runtime_read_part(s->runtime, n->bind[1], 0, p->slots, mine);
    if (status == SY_OK)
        status = trade_counts(s, n, p, off, counts);
    if (status == SY_OK)
        status = lay_out(s, n, p, off, counts, route, xoff);
    if (status == SY_OK)
        status = trade_sources(s, n, p, mine, theirs);
    if (status == SY_OK)
        status = sy_runtime_write_part(s->runtime, n->bind[2], 0, xoffs, xoff);
    if (status == SY_OK)
        status = sy_runtime_write_part(s->runtime, n->bind[3], 0, p->xslots, theirs);
    if (status == SY_OK && p->tiles != 0)
        status = write_parts(s, n, theirs);
    free(off);
    free(mine);
    free(counts);
    return status;
}

static uint64_t row_bytes(const struct sy_session *s, const struct sy_node *n)
{
    const struct sy_exchange_args *p = (const void *)n->args;
    return p->dim * sy_dtype_bytes(sy_graph_tensor(s->graph, n->bind[0])->dtype);
}

enum sy_status sy_rows_copy(struct sy_session *s, const struct sy_node *n)
{
    const struct sy_exchange_args *p = (const void *)n->args;
    const struct sy_route *r = &s->messages->routes[p->route];
    const uint32_t me = sy_layout_place(s->graph->ranks), own = own_experts(s, p);
    uint64_t here = 0, there = 0;
    for (uint32_t e = 0; e < me; ++e)
        here += r->sends[e];
    for (uint32_t x = 0; x < (p->back ? own : sy_rows_half(own)); ++x) {
        const uint64_t rows = r->receives[(size_t)me * own + x];
        for (uint32_t e = 0; e < me; ++e)
            there += r->receives[(size_t)e * own + x];
        if (rows != 0)
            SY_TRY(sy_runtime_copy_part(s->runtime, n->bind[0], (p->back ? there : here) * p->dim, n->bind[1],
                                        (p->back ? here : there) * p->dim, rows * p->dim));
        here += rows;
        for (uint32_t e = me; e < s->messages->sources; ++e)
            there += r->receives[(size_t)e * own + x];
    }
    return SY_OK;
}

enum sy_status sy_rows_pack(struct sy_session *s, struct sy_parcel *p)
{
    const struct sy_exchange_args *a = (const void *)p->node->args;
    const uint64_t unit = row_bytes(s, p->node);
    const sy_tid x = p->node->bind[0];
    struct traffic t;
    SY_TRY(traffic_of(s, a, &t));
    const uint64_t most = t.sent > t.received ? t.sent : t.received;
    enum sy_status status = sy_parcel_reserve(s->ctx, p, most * unit, most * unit); // each is sorted into the other
    char *to = p->out;
    if (status == SY_OK && a->back)
        status = sy_parcel_read(s, p, x, t.from * a->dim, t.received * a->dim, p->in);
    else if (status == SY_OK && a->part == 0)
        status = sy_parcel_read(s, p, x, 0, t.sent * a->dim, to);
    else
        for (uint32_t e = 0; e < s->messages->sources && status == SY_OK; to += t.sends[e++] * unit)
            status = sy_parcel_read(s, p, x, t.at[e] * a->dim, t.sends[e] * a->dim, to);
    free(t.sends);
    return status;
}

enum sy_status sy_rows_address(struct sy_session *s, struct sy_parcel *p)
{
    const struct sy_exchange_args *a = (const void *)p->node->args;
    const uint64_t unit = row_bytes(s, p->node);
    struct traffic t;
    enum sy_status status = traffic_of(s, a, &t);
    if (status == SY_OK && a->back)
        status = sort_rows(s, a, &t, p->out, p->in, unit, true);
    if (status == SY_OK)
        status = address(s, p, p->out, a->back ? t.receives : t.sends, p->in, a->back ? t.sends : t.receives, unit);
    free(t.sends);
    return status;
}

/// Writes what came back of a part: not this rank's own rows, which may not be there yet.
static enum sy_status write_back(struct sy_session *s, const struct sy_parcel *p, const struct traffic *t)
{
    const struct sy_exchange_args *a = (const void *)p->node->args;
    const char *from = p->in;
    for (uint32_t e = 0; e < s->messages->sources; from += t->sends[e++] * row_bytes(s, p->node))
        if (e != sy_layout_place(s->graph->ranks) && t->sends[e] != 0)
            SY_TRY(sy_runtime_write_part(s->runtime, p->node->bind[1], t->at[e] * a->dim, t->sends[e] * a->dim, from));
    return SY_OK;
}

enum sy_status sy_rows_unpack(struct sy_session *s, struct sy_parcel *p)
{
    const struct sy_exchange_args *a = (const void *)p->node->args;
    const sy_tid y = p->node->bind[1];
    struct traffic t;
    enum sy_status status = traffic_of(s, a, &t);
    if (status == SY_OK && !a->back)
        status = sort_rows(s, a, &t, p->in, p->out, row_bytes(s, p->node), false);
    if (status == SY_OK && a->back && a->part != 0)
        status = write_back(s, p, &t);
    else if (status == SY_OK && a->back && t.sent != 0)
        status = sy_runtime_write_part(s->runtime, y, 0, t.sent * a->dim, p->in);
    else if (status == SY_OK && !a->back && t.received != 0)
        status = sy_runtime_write_part(s->runtime, y, t.from * a->dim, t.received * a->dim, p->out);
    free(t.sends);
    return status;
}
