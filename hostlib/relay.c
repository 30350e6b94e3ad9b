// SPDX-License-Identifier: Apache-2.0
#include "hostlib/relay.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct sy_team {
    uint32_t hosts, mates; ///< Ranks of the team on each host.
    uint32_t host, seat;   ///< Which host this rank is on, and which of its ranks it is.
    uint32_t *ranks;       ///< [hosts][mates]
};

enum stage { SIZES, INSIDE, BETWEEN };

struct sy_relay {
    struct sy_group *group;
    const struct sy_team *team; ///< NULL: `way` is all there is.
    const char *what;
    enum stage stage;
    struct sy_exchange *way;  ///< Of this stage.
    struct sy_transfer *list; ///< Its transfers.
    size_t count;
    struct sy_transfer *sends, *receives; ///< [hosts][mates] as the caller gave them; no bytes where there are none.
    uint32_t *turns;                      ///< [hosts][mates] the first that is reserved with that rank.
    uint64_t *mine, *theirs; ///< [mates][hosts] bytes that a mate passes on for this rank, and this for it.
    char *out, *in;          ///< What goes to, and comes from, other hosts: one message after the other.
};

// ---- teams ---------------------------------------------------------------------------------------------------------

/// Seats the ranks host by host. False: there are not as many on each. `hosts`, `taken`: [count] of 0.
static bool seat(struct sy_team *t, const struct sy_group *group, const uint32_t *ranks, uint32_t count,
                 uint32_t *hosts, uint32_t *taken)
{
    for (int pass = 0; pass < 2; ++pass) {
        memset(taken, 0, count * sizeof *taken);
        for (uint32_t i = 0; i < count; ++i) {
            uint32_t h = 0;
            while (h < t->hosts && hosts[h] != group->hosts[ranks[i]])
                ++h;
            if (h == t->hosts)
                hosts[t->hosts++] = group->hosts[ranks[i]];
            const uint32_t place = taken[h]++;
            if (pass == 0)
                continue;
            t->ranks[h * t->mates + place] = ranks[i];
            t->host = ranks[i] == group->rank ? h : t->host;
            t->seat = ranks[i] == group->rank ? place : t->seat;
        }
        t->mates = taken[0];
        for (uint32_t h = 0; h < t->hosts; ++h)
            if (taken[h] != t->mates)
                return false;
    }
    return t->hosts > 1 && t->mates > 1;
}

enum sy_status sy_team_create(struct sy_ctx *ctx, const struct sy_group *group, const uint32_t *ranks, uint32_t count,
                              struct sy_team **out)
{
    struct sy_team *t = calloc(1, sizeof *t);
    uint32_t *scratch = calloc(2 * (size_t)count, sizeof *scratch);
    *out = NULL;
    if (t == NULL || scratch == NULL || (t->ranks = calloc(count, sizeof *t->ranks)) == NULL) {
        free(scratch);
        free(t);
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    }
    if (seat(t, group, ranks, count, scratch, scratch + count))
        *out = t;
    else
        sy_team_destroy(&t);
    free(scratch);
    return SY_OK;
}

void sy_team_destroy(struct sy_team **team)
{
    if (*team != NULL)
        free((*team)->ranks);
    free(*team);
    *team = NULL;
}

// ---- stages --------------------------------------------------------------------------------------------------------

static void add(struct sy_relay *r, uint32_t host, uint32_t seat, bool send, void *data, uint64_t bytes)
{
    const uint32_t i = host * r->team->mates + seat;
    r->list[r->count++] = (struct sy_transfer){.peer = r->team->ranks[i],
                                               .send = send,
                                               .data = data,
                                               .bytes = bytes,
                                               .turn = r->turns[i] + (r->stage == INSIDE)};
}

static enum sy_status start(struct sy_ctx *ctx, struct sy_relay *r)
{
    return sy_group_start(ctx, r->group, r->what, r->list, r->count, &r->way);
}

/// How much each mate is to pass on.
static enum sy_status start_sizes(struct sy_ctx *ctx, struct sy_relay *r)
{
    const struct sy_team *t = r->team;
    for (uint32_t m = 0; m < t->mates; ++m)
        for (uint32_t h = 0; h < t->hosts; ++h)
            r->mine[m * t->hosts + h] = h == t->host ? 0 : r->sends[h * t->mates + m].bytes;
    for (uint32_t m = 0; m < t->mates; ++m) {
        if (m == t->seat)
            continue;
        add(r, t->host, m, false, &r->theirs[m * t->hosts], t->hosts * sizeof *r->theirs);
        add(r, t->host, m, true, &r->mine[m * t->hosts], t->hosts * sizeof *r->mine);
    }
    memcpy(&r->theirs[t->seat * t->hosts], &r->mine[t->seat * t->hosts], t->hosts * sizeof *r->mine);
    return start(ctx, r);
}

/// Bytes of the message to another host, or from it.
static uint64_t message(const struct sy_relay *r, uint32_t host, bool send)
{
    const struct sy_team *t = r->team;
    uint64_t bytes = 0;
    for (uint32_t m = 0; m < t->mates && host != t->host; ++m)
        bytes += send ? r->theirs[m * t->hosts + host] : r->receives[host * t->mates + m].bytes;
    return bytes;
}

/// What is for a rank of this host goes there; what is for other hosts to the mate that passes it on.
static enum sy_status start_inside(struct sy_ctx *ctx, struct sy_relay *r)
{
    const struct sy_team *t = r->team;
    uint64_t out = 1, in = 1;
    for (uint32_t h = 0; h < t->hosts; ++h) {
        out += message(r, h, true);
        in += message(r, h, false);
    }
    if ((r->out = malloc(out)) == NULL || (r->in = malloc(in)) == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory: %llu bytes to pass on", (unsigned long long)(out + in));
    char *to = r->out;
    for (uint32_t i = 0; i < t->hosts * t->mates; ++i) {
        const uint32_t h = i / t->mates, m = i % t->mates;
        const struct sy_transfer *send = &r->sends[i], *receive = &r->receives[i];
        const uint64_t bytes = r->theirs[m * t->hosts + h]; // 0 for this host
        if (m != t->seat) {
            add(r, t->host, m, true, send->data, send->bytes);
            add(r, t->host, m, false, h == t->host ? receive->data : to, h == t->host ? receive->bytes : bytes);
        } else if (bytes != 0) {
            memcpy(to, send->data, bytes);
        }
        to += bytes;
    }
    return start(ctx, r);
}

static enum sy_status start_between(struct sy_ctx *ctx, struct sy_relay *r)
{
    const struct sy_team *t = r->team;
    char *to = r->out, *from = r->in;
    for (uint32_t h = 0; h < t->hosts; ++h) {
        if (h == t->host)
            continue;
        add(r, h, t->seat, false, from, message(r, h, false));
        add(r, h, t->seat, true, to, message(r, h, true));
        from += message(r, h, false);
        to += message(r, h, true);
    }
    return start(ctx, r);
}

/// Takes apart what came from other hosts.
static void deliver(struct sy_relay *r)
{
    const struct sy_team *t = r->team;
    const char *from = r->in;
    for (uint32_t i = 0; i < t->hosts * t->mates; ++i) {
        const struct sy_transfer *x = &r->receives[i];
        if (i / t->mates == t->host || x->bytes == 0)
            continue;
        memcpy(x->data, from, x->bytes);
        from += x->bytes;
    }
}

// ---- for others ----------------------------------------------------------------------------------------------------

/// Where a rank sits in the team.
static uint32_t place(const struct sy_team *t, uint32_t rank)
{
    uint32_t i = 0;
    while (i < t->hosts * t->mates && t->ranks[i] != rank)
        ++i;
    assert(i < t->hosts * t->mates);
    return i;
}

static enum sy_status begin(struct sy_ctx *ctx, struct sy_relay *r, const struct sy_transfer *list, size_t count)
{
    const struct sy_team *t = r->team;
    if (t == NULL)
        return sy_group_start(ctx, r->group, r->what, list, count, &r->way);
    const size_t all = (size_t)t->hosts * t->mates;
    r->sends = calloc(2 * all, sizeof *r->sends);
    r->list = calloc(2 * all, sizeof *r->list);
    r->turns = calloc(all, sizeof *r->turns);
    r->mine = calloc(2 * all, sizeof *r->mine);
    if (r->sends == NULL || r->list == NULL || r->turns == NULL || r->mine == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory: messages of %zu ranks", all);
    r->receives = r->sends + all;
    r->theirs = r->mine + all;
    for (size_t i = 0; i < count; ++i)
        (list[i].send ? r->sends : r->receives)[place(t, list[i].peer)] = list[i];
    for (uint32_t i = 0; i < all; ++i) // later stages begin at another time on each rank
        if (t->ranks[i] != r->group->rank && (i / t->mates == t->host || i % t->mates == t->seat))
            r->turns[i] = sy_group_reserve(r->group, t->ranks[i], 2);
    return start_sizes(ctx, r);
}

enum sy_status sy_relay_start(struct sy_ctx *ctx, struct sy_group *group, const char *what,
                              const struct sy_transfer *list, size_t count, const struct sy_team *team,
                              struct sy_relay **out)
{
    struct sy_relay *r = calloc(1, sizeof *r);
    if (r == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    *r = (struct sy_relay){.group = group, .team = team, .what = what};
    const enum sy_status status = begin(ctx, r, list, count);
    if (status != SY_OK)
        sy_relay_drop(&r);
    *out = r;
    return status;
}

enum sy_status sy_relay_look(struct sy_ctx *ctx, struct sy_relay *r, bool wait, bool *out_done)
{
    SY_TRY(sy_group_look(ctx, r->way, wait, out_done));
    if (!*out_done || r->team == NULL)
        return SY_OK;
    if (r->stage == BETWEEN) {
        deliver(r);
        return SY_OK;
    }
    *out_done = false;
    sy_group_drop(&r->way);
    r->count = 0;
    ++r->stage;
    return r->stage == INSIDE ? start_inside(ctx, r) : start_between(ctx, r);
}

void sy_relay_drop(struct sy_relay **relay)
{
    struct sy_relay *r = *relay;
    if (r == NULL)
        return;
    sy_group_drop(&r->way);
    free(r->list);
    free(r->sends);
    free(r->turns);
    free(r->mine);
    free(r->out);
    free(r->in);
    free(r);
    *relay = NULL;
}

enum sy_status sy_relay_exchange(struct sy_ctx *ctx, struct sy_group *group, const char *what,
                                 const struct sy_transfer *list, size_t count, const struct sy_team *team)
{
    struct sy_relay *r = NULL;
    bool done = false;
    enum sy_status status = sy_relay_start(ctx, group, what, list, count, team, &r);
    for (uint64_t looks = 0; status == SY_OK && !done; ++looks) {
        status = sy_relay_look(ctx, r, true, &done);
        if (!done)
            sy_group_rest(looks);
    }
    sy_relay_drop(&r);
    return status;
}
