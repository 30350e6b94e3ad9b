// SPDX-License-Identifier: Apache-2.0
// mpi/exchange.c: transfers between ranks, started, looked after and waited for.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "hostlib/group.h"
#include "hostlib/pulse.h"

#define LARGEST ((uint64_t)1 << 30) // bytes of one MPI message, whose count is an int
#define TAGS 32768u                 // every MPI has tags up to 32767
#define ASK_S 0.2                   // between two questions whether an awaited rank is alive
#define STOPPED_S 2.0               // between two looks: it was this rank that was stopped

/// One MPI message.
struct piece {
    MPI_Request request;
    struct sy_transfer of; ///< This piece's own data and bytes.
    double due;            ///< When the imagined wire has carried it (SY_SLOW_WIRE).
    int tag;
    bool posted, done;
};

struct sy_exchange {
    struct sy_group *group;
    struct sy_exchange *next; ///< Of those under way.
    const char *what;
    struct piece *pieces;
    size_t count, left;
    bool waiting;               ///< Somebody waits: since …
    double from, looked, asked; ///< … seconds; and those of the last look and question.
};

static void post(struct piece *p, int *bad)
{
    const int bytes = (int)p->of.bytes, peer = (int)p->of.peer;
    *bad = p->of.send ? MPI_Isend(p->of.data, bytes, MPI_BYTE, peer, p->tag, MPI_COMM_WORLD, &p->request)
                      : MPI_Irecv(p->of.data, bytes, MPI_BYTE, peer, p->tag, MPI_COMM_WORLD, &p->request);
    p->posted = *bad == MPI_SUCCESS;
}

/// Hands MPI what the wire has carried by now, of every exchange under way: another one may be waited for.
static enum sy_status post_due(struct sy_ctx *ctx, struct sy_group *group)
{
    const double now = group->wire.bytes_per_s > 0.0 ? sy_pulse_now() : 0.0;
    for (struct sy_exchange *x = group->under_way; x != NULL; x = x->next)
        for (size_t i = 0; i < x->count; ++i) {
            struct piece *p = &x->pieces[i];
            int bad = MPI_SUCCESS;
            if (p->posted || p->due > now)
                continue;
            post(p, &bad);
            if (bad != MPI_SUCCESS)
                return sy_fail(ctx, SY_COMM, "%s: MPI refuses %llu bytes %s rank %u", x->what,
                               (unsigned long long)p->of.bytes, p->of.send ? "for" : "from", p->of.peer);
        }
    return SY_OK;
}

/// "host node7, opencl:0", in brackets; what is awaited, and in which step.
static enum sy_status missed(struct sy_ctx *ctx, struct sy_group *group, const char *what, uint32_t rank,
                             const char *why)
{
    const char *name = group->names != NULL ? group->names[rank] : "";
    char step[40] = "";
    group->over = true;
    if (group->pulse != NULL)
        sy_pulse_give_up(group->pulse, rank);
    if (!sy_group_speak(group))
        return SY_COMM;
    if (group->step != 0)
        snprintf(step, sizeof step, ", step %llu", (unsigned long long)group->step);
    return sy_fail(ctx, SY_COMM, "rank %u%s%s%s %s, awaited by rank %u in: %s%s", rank, name[0] != '\0' ? " (" : "",
                   name, name[0] != '\0' ? ")" : "", why, group->rank, what, step);
}

/// An arrived message must have as many bytes as were expected.
static enum sy_status check(struct sy_ctx *ctx, const struct sy_exchange *x, const struct piece *p,
                            const MPI_Status *status, int bad)
{
    int bytes = 0;
    if (bad == MPI_SUCCESS && p->of.send)
        return SY_OK;
    if (MPI_Get_count(status, MPI_BYTE, &bytes) == MPI_SUCCESS && (uint64_t)bytes == p->of.bytes && bad == MPI_SUCCESS)
        return SY_OK;
    char text[MPI_MAX_ERROR_STRING] = "", why[256];
    int length = 0, class = MPI_SUCCESS;
    if (bad != MPI_SUCCESS)
        MPI_Error_class(bad, &class);
    if (bad != MPI_SUCCESS && class != MPI_ERR_TRUNCATE) {
        MPI_Error_string(bad, text, &length);
        snprintf(why, sizeof why, "has lost the connection (%.200s)", text);
        return missed(ctx, x->group, x->what, p->of.peer, why);
    }
    // Of a message that is too long some MPIs count what was sent, others what had room.
    const bool at_least = class == MPI_ERR_TRUNCATE && (bytes < 0 || (uint64_t)bytes <= p->of.bytes);
    return sy_fail(ctx, SY_COMM, "%s: rank %u sent %s%llu bytes, expected %llu: the ranks do not do the same work",
                   x->what, p->of.peer, at_least ? "more than " : "",
                   (unsigned long long)(at_least ? p->of.bytes : (uint64_t)bytes), (unsigned long long)p->of.bytes);
}

/// Asks after a rank that has not come; an error where it has ended, or is not heard of any more.
static enum sy_status look_after(struct sy_ctx *ctx, struct sy_exchange *x, uint32_t rank)
{
    struct sy_group *group = x->group;
    char why[100];
    const double now = x->looked, patience = group->patience_s;
    if (group->pulse == NULL || !sy_pulse_reaches(group->pulse, rank)) {
        const double most = patience > SY_GROUP_DEAF_S ? patience : SY_GROUP_DEAF_S;
        snprintf(why, sizeof why, "did not come within %.0f s", most);
        return patience > 0.0 && now - x->from > most ? missed(ctx, group, x->what, rank, why) : SY_OK;
    }
    const double heard = sy_pulse_heard(group->pulse, rank), silent = now - (heard > x->from ? heard : x->from);
    sy_pulse_ask(group->pulse, rank);
    if (sy_pulse_gone(group->pulse, rank))
        return missed(ctx, group, x->what, rank, "has ended");
    if (patience > 0.0 && silent > patience) {
        snprintf(why, sizeof why, "has not been heard of for %.0f s", silent);
        return missed(ctx, group, x->what, rank, why);
    }
    if (patience > 0.0 && now - x->from > SY_GROUP_SLOW_S && patience < SY_GROUP_SLOW_S) {
        snprintf(why, sizeof why, "is alive, but did not come within %.0f s", SY_GROUP_SLOW_S);
        return missed(ctx, group, x->what, rank, why);
    }
    return SY_OK;
}

static enum sy_status look_around(struct sy_ctx *ctx, struct sy_exchange *x)
{
    const double now = sy_pulse_now();
    if (!x->waiting) {
        x->waiting = true;
        x->from = x->looked = x->asked = now;
    }
    if (now - x->looked > STOPPED_S)
        x->from = now; // the others could not be heard meanwhile
    x->looked = now;
    if (now - x->asked < ASK_S)
        return SY_OK;
    x->asked = now;
    for (size_t i = 0; i < x->count; ++i)
        if (!x->pieces[i].done)
            SY_TRY(look_after(ctx, x, x->pieces[i].of.peer));
    return SY_OK;
}

uint32_t sy_group_reserve(struct sy_group *group, uint32_t peer, uint32_t count)
{
    struct sy_turn *turn = &group->turns[peer];
    const uint32_t first = turn->count + 1;
    turn->count += count;
    return first;
}

/// When the imagined wire will have carried a message of this rank.
static double send_through(struct sy_group *group, uint32_t peer, uint64_t bytes)
{
    struct sy_wire *wire = &group->wire;
    const bool far = group->hosts[peer] != group->hosts[group->rank];
    group->sent += bytes;
    group->far_sent += far ? bytes : 0;
    group->far_messages += far;
    if (wire->bytes_per_s == 0.0 || (!far && group->several_hosts))
        return 0.0;
    const double now = sy_pulse_now();
    wire->free_at = (wire->free_at > now ? wire->free_at : now) + wire->message_s + (double)bytes / wire->bytes_per_s;
    return wire->free_at + wire->latency_s;
}

/// Cuts a transfer into pieces that MPI can count.
static void add(struct sy_exchange *x, const struct sy_transfer *t)
{
    struct sy_turn *turn = &x->group->turns[t->peer];
    if (t->turn == 0 && turn->exchange != x->group->exchanges) {
        ++turn->count;
        turn->exchange = x->group->exchanges;
    }
    const uint32_t number = t->turn != 0 ? t->turn : turn->count;
    for (uint64_t done = 0; done < t->bytes; done += LARGEST) {
        const uint64_t left = t->bytes - done;
        struct piece *p = &x->pieces[x->count++];
        *p = (struct piece){.request = MPI_REQUEST_NULL, .of = *t, .tag = (int)(number % TAGS)};
        p->of.data = (char *)t->data + done;
        p->of.bytes = left < LARGEST ? left : LARGEST;
        if (t->send)
            p->due = send_through(x->group, t->peer, p->of.bytes);
    }
}

enum sy_status sy_group_start(struct sy_ctx *ctx, struct sy_group *group, const char *what,
                              const struct sy_transfer *list, size_t count, struct sy_exchange **out)
{
    size_t pieces = 0;
    if (group->over)
        return SY_COMM;
    ++group->exchanges;
    for (size_t i = 0; i < count; ++i)
        pieces += (size_t)((list[i].bytes + LARGEST - 1) / LARGEST);
    struct sy_exchange *x = calloc(1, sizeof *x);
    if (x == NULL || (pieces != 0 && (x->pieces = calloc(pieces, sizeof *x->pieces)) == NULL)) {
        free(x);
        return sy_fail(ctx, SY_NOMEM, "out of host memory: %zu messages", pieces);
    }
    *x = (struct sy_exchange){
        .group = group, .next = group->under_way, .what = what, .pieces = x->pieces, .left = pieces};
    group->under_way = x;
    for (int send = 0; send < 2; ++send) // receivers first: what comes finds its place
        for (size_t i = 0; i < count; ++i)
            if (list[i].send == (send != 0))
                add(x, &list[i]);
    *out = x;
    return post_due(ctx, group);
}

enum sy_status sy_group_look(struct sy_ctx *ctx, struct sy_exchange *x, bool wait, bool *out_done)
{
    *out_done = false;
    if (x->group->over)
        return SY_COMM;
    SY_TRY(post_due(ctx, x->group));
    const size_t before = x->left;
    for (size_t i = 0; i < x->count; ++i) {
        struct piece *p = &x->pieces[i];
        int done = 0;
        MPI_Status status = {0};
        if (p->done || !p->posted)
            continue;
        const int bad = MPI_Test(&p->request, &done, &status);
        if (bad == MPI_SUCCESS && !done)
            continue;
        p->done = true;
        --x->left;
        SY_TRY(check(ctx, x, p, &status, bad));
    }
    *out_done = x->left == 0;
    return wait && x->left != 0 && x->left == before ? look_around(ctx, x) : SY_OK;
}

void sy_group_drop(struct sy_exchange **exchange)
{
    struct sy_exchange *x = *exchange;
    if (x == NULL)
        return;
    struct sy_exchange **at = &x->group->under_way;
    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    free(x->pieces);
    free(x);
    *exchange = NULL;
}
