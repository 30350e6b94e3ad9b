// SPDX-License-Identifier: Apache-2.0
// mpi/group.c: <mpi.h> is included here only.
#include "hostlib/group.h"

#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hostlib/pulse.h"

#define LARGEST ((uint64_t)1 << 30) // bytes of one MPI message, whose count is an int
#define TAGS 32768u                 // every MPI has tags up to 32767
#define ASK_S 0.2                   // between two questions whether an awaited rank is alive
#define STOPPED_S 2.0               // between two looks: it was this rank that was stopped
#define ABORT_S 5                   // MPI_Abort() has so long

enum sy_status sy_group_open(struct sy_ctx *ctx, struct sy_group *out)
{
    *out = (struct sy_group){.size = 1, .node_size = 1};
    if (sy_group_launched() == 1)
        return SY_OK; // MPI_Init costs half a second and opens sockets
    int provided, rank, size, node_rank, node_size;
    MPI_Comm node;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS ||
        MPI_Comm_rank(MPI_COMM_WORLD, &rank) != MPI_SUCCESS || MPI_Comm_size(MPI_COMM_WORLD, &size) != MPI_SUCCESS)
        return sy_fail(ctx, SY_COMM, "MPI could not start: see its messages above");
    if (provided < MPI_THREAD_FUNNELED) { // drivers have threads of their own beside the one that calls MPI
        MPI_Finalize();
        return sy_fail(ctx, SY_COMM,
                       "this MPI does not allow a program with threads (it provides level %d, expected at least "
                       "MPI_THREAD_FUNNELED = %d): use one built with thread support",
                       provided, MPI_THREAD_FUNNELED);
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node) != MPI_SUCCESS ||
        MPI_Comm_rank(node, &node_rank) != MPI_SUCCESS || MPI_Comm_size(node, &node_size) != MPI_SUCCESS)
        return sy_fail(ctx, SY_COMM, "MPI could not say which ranks share a host");
    MPI_Comm_free(&node);
    *out = (struct sy_group){.rank = (uint32_t)rank,
                             .size = (uint32_t)size,
                             .node_rank = (uint32_t)node_rank,
                             .node_size = (uint32_t)node_size,
                             .started = true};
    return SY_OK;
}

void sy_group_close(struct sy_group *group)
{
    if (group->started)
        MPI_Finalize();
    sy_pulse_close(&group->pulse); // MPI_Finalize waits for all: nobody asks any more
    free(group->names);
    *group = (struct sy_group){.size = 1, .node_size = 1};
}

void sy_group_abort(const struct sy_group *group)
{
    if (!group->started)
        return;
    signal(SIGALRM, SIG_DFL); // it waits for mpirun's answer, which a cut network keeps away
    alarm(ABORT_S);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/// Between two looks: other ranks, or this rank's device, may need the processor.
static void rest(uint64_t looks)
{
    const struct timespec nap = {.tv_nsec = 50000};
    if (looks < 200)
        sched_yield();
    else
        nanosleep(&nap, NULL);
}

/// The messages of one exchange under way.
struct posted {
    MPI_Request *requests;
    const struct sy_transfer **of; ///< What each is a piece of.
    int *bytes;
    size_t count;
};

static enum sy_status post(struct sy_ctx *ctx, const char *what, const struct sy_transfer *x, int tag,
                           struct posted *posted)
{
    for (uint64_t done = 0; done < x->bytes; done += LARGEST) {
        const uint64_t left = x->bytes - done;
        const int bytes = (int)(left < LARGEST ? left : LARGEST);
        char *data = (char *)x->data + done;
        MPI_Request *request = &posted->requests[posted->count];
        const int bad = x->send ? MPI_Isend(data, bytes, MPI_BYTE, (int)x->peer, tag, MPI_COMM_WORLD, request)
                                : MPI_Irecv(data, bytes, MPI_BYTE, (int)x->peer, tag, MPI_COMM_WORLD, request);
        if (bad != MPI_SUCCESS)
            return sy_fail(ctx, SY_COMM, "%s: MPI refuses %d bytes %s rank %u", what, bytes, x->send ? "for" : "from",
                           x->peer);
        posted->of[posted->count] = x;
        posted->bytes[posted->count++] = bytes;
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
    if (!sy_group_speak(group))
        return SY_COMM;
    if (group->step != 0)
        snprintf(step, sizeof step, ", step %llu", (unsigned long long)group->step);
    return sy_fail(ctx, SY_COMM, "rank %u%s%s%s %s, awaited by rank %u in: %s%s", rank, name[0] != '\0' ? " (" : "",
                   name, name[0] != '\0' ? ")" : "", why, group->rank, what, step);
}

/// An arrived message must have as many bytes as were expected.
static enum sy_status check(struct sy_ctx *ctx, struct sy_group *group, const char *what, const struct posted *posted,
                            size_t i, const MPI_Status *status, int bad)
{
    int bytes = 0;
    const struct sy_transfer *x = posted->of[i];
    if (bad == MPI_SUCCESS && x->send)
        return SY_OK;
    if (MPI_Get_count(status, MPI_BYTE, &bytes) == MPI_SUCCESS && bytes == posted->bytes[i] && bad == MPI_SUCCESS)
        return SY_OK;
    char text[MPI_MAX_ERROR_STRING] = "", why[256];
    int length = 0, class = MPI_SUCCESS;
    if (bad != MPI_SUCCESS)
        MPI_Error_class(bad, &class);
    if (bad != MPI_SUCCESS && class != MPI_ERR_TRUNCATE) {
        MPI_Error_string(bad, text, &length);
        snprintf(why, sizeof why, "has lost the connection (%.200s)", text);
        return missed(ctx, group, what, x->peer, why);
    }
    return sy_fail(ctx, SY_COMM, "%s: rank %u sent %s%d bytes, expected %d: the ranks do not do the same work", what,
                   x->peer, class == MPI_ERR_TRUNCATE ? "more than " : "",
                   class == MPI_ERR_TRUNCATE ? posted->bytes[i] : bytes, posted->bytes[i]);
}

/// How long the ranks of an exchange have been waited for.
struct wait {
    double from, looked, asked; ///< Seconds: when it began, and of the last look and question.
};

/// Asks after a rank that has not come; an error where it has ended, or is not heard of any more.
static enum sy_status look_after(struct sy_ctx *ctx, struct sy_group *group, const char *what, uint32_t rank,
                                 const struct wait *w)
{
    char why[100];
    const double now = w->looked, patience = group->patience_s;
    if (group->pulse == NULL || !sy_pulse_reaches(group->pulse, rank)) {
        const double most = patience > SY_GROUP_DEAF_S ? patience : SY_GROUP_DEAF_S;
        snprintf(why, sizeof why, "did not come within %.0f s", most);
        return patience > 0.0 && now - w->from > most ? missed(ctx, group, what, rank, why) : SY_OK;
    }
    const double heard = sy_pulse_heard(group->pulse, rank), silent = now - (heard > w->from ? heard : w->from);
    sy_pulse_ask(group->pulse, rank);
    if (sy_pulse_gone(group->pulse, rank))
        return missed(ctx, group, what, rank, "has ended");
    if (patience > 0.0 && silent > patience) {
        snprintf(why, sizeof why, "has not been heard of for %.0f s", silent);
        return missed(ctx, group, what, rank, why);
    }
    if (patience > 0.0 && now - w->from > SY_GROUP_SLOW_S && patience < SY_GROUP_SLOW_S) {
        snprintf(why, sizeof why, "is alive, but did not come within %.0f s", SY_GROUP_SLOW_S);
        return missed(ctx, group, what, rank, why);
    }
    return SY_OK;
}

static enum sy_status look_around(struct sy_ctx *ctx, struct sy_group *group, const char *what,
                                  const struct posted *posted, struct wait *w)
{
    const double now = sy_pulse_now();
    if (now - w->looked > STOPPED_S)
        w->from = now; // the others could not be heard meanwhile
    w->looked = now;
    if (now - w->asked < ASK_S)
        return SY_OK;
    w->asked = now;
    for (size_t i = 0; i < posted->count; ++i)
        if (posted->requests[i] != MPI_REQUEST_NULL)
            SY_TRY(look_after(ctx, group, what, posted->of[i]->peer, w));
    return SY_OK;
}

static enum sy_status wait_all(struct sy_ctx *ctx, struct sy_group *group, const char *what, struct posted *posted)
{
    const double now = sy_pulse_now();
    struct wait w = {.from = now, .looked = now, .asked = now};
    size_t left = posted->count;
    for (uint64_t looks = 0; left > 0; ++looks) {
        for (size_t i = 0; i < posted->count; ++i) {
            int done = 0;
            MPI_Status status = {0};
            if (posted->requests[i] == MPI_REQUEST_NULL)
                continue;
            const int bad = MPI_Test(&posted->requests[i], &done, &status);
            if (bad == MPI_SUCCESS && !done)
                continue;
            --left;
            looks = 0;
            SY_TRY(check(ctx, group, what, posted, i, &status, bad));
        }
        if (left > 0) {
            SY_TRY(look_around(ctx, group, what, posted, &w));
            rest(looks);
        }
    }
    return SY_OK;
}

enum sy_status sy_group_exchange(struct sy_ctx *ctx, struct sy_group *group, const char *what,
                                 const struct sy_transfer *list, size_t count)
{
    const int tag = (int)(group->exchanges++ % TAGS);
    size_t pieces = 0;
    if (group->over)
        return SY_COMM;
    for (size_t i = 0; i < count; ++i)
        pieces += (size_t)((list[i].bytes + LARGEST - 1) / LARGEST);
    if (pieces == 0)
        return SY_OK;
    struct posted posted = {.requests = calloc(pieces, sizeof *posted.requests),
                            .of = calloc(pieces, sizeof *posted.of),
                            .bytes = calloc(pieces, sizeof *posted.bytes)};
    enum sy_status status = SY_OK;
    if (posted.requests == NULL || posted.of == NULL || posted.bytes == NULL)
        status = sy_fail(ctx, SY_NOMEM, "out of host memory: %zu messages", pieces);
    for (int send = 0; send < 2; ++send) // receivers first: what comes finds its place
        for (size_t i = 0; i < count && status == SY_OK; ++i)
            if (list[i].send == (send != 0))
                status = post(ctx, what, &list[i], tag, &posted);
    if (status == SY_OK)
        status = wait_all(ctx, group, what, &posted);
    free(posted.requests);
    free(posted.of);
    free(posted.bytes);
    return status;
}
