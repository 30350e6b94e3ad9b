// SPDX-License-Identifier: Apache-2.0
// mpi/group.c: <mpi.h> is included here only.
#include "hostlib/group.h"

#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LARGEST ((uint64_t)1 << 30) // bytes of one MPI message, whose count is an int
#define TAGS 32768u                 // every MPI has tags up to 32767

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
    *group = (struct sy_group){.size = 1, .node_size = 1};
}

void sy_group_abort(const struct sy_group *group)
{
    if (group->started)
        MPI_Abort(MPI_COMM_WORLD, 1);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
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

/// An arrived message must have as many bytes as were expected.
static enum sy_status check(struct sy_ctx *ctx, const char *what, const struct posted *posted, size_t i,
                            const MPI_Status *status, int bad)
{
    int bytes = 0;
    const struct sy_transfer *x = posted->of[i];
    if (bad == MPI_SUCCESS && x->send)
        return SY_OK;
    if (MPI_Get_count(status, MPI_BYTE, &bytes) == MPI_SUCCESS && bytes == posted->bytes[i] && bad == MPI_SUCCESS)
        return SY_OK;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0, class = MPI_SUCCESS;
    if (bad != MPI_SUCCESS)
        MPI_Error_class(bad, &class);
    if (bad != MPI_SUCCESS && class != MPI_ERR_TRUNCATE) {
        MPI_Error_string(bad, text, &length);
        return sy_fail(ctx, SY_COMM, "%s: the connection with rank %u failed: %.200s", what, x->peer, text);
    }
    return sy_fail(ctx, SY_COMM, "%s: rank %u sent %s%d bytes, expected %d: the ranks do not do the same work", what,
                   x->peer, class == MPI_ERR_TRUNCATE ? "more than " : "",
                   class == MPI_ERR_TRUNCATE ? posted->bytes[i] : bytes, posted->bytes[i]);
}

static enum sy_status late(struct sy_ctx *ctx, const struct sy_group *group, const char *what,
                           const struct posted *posted)
{
    size_t i = 0;
    while (i + 1 < posted->count && posted->requests[i] == MPI_REQUEST_NULL)
        ++i;
    return sy_fail(ctx, SY_COMM, "rank %u waited %.0f s for rank %u: %s", group->rank, group->patience_s,
                   posted->of[i]->peer, what);
}

static enum sy_status wait_all(struct sy_ctx *ctx, const struct sy_group *group, const char *what,
                               struct posted *posted)
{
    const double from = seconds();
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
            SY_TRY(check(ctx, what, posted, i, &status, bad));
        }
        if (left > 0 && group->patience_s > 0.0 && seconds() - from > group->patience_s)
            return late(ctx, group, what, posted);
        if (left > 0)
            rest(looks);
    }
    return SY_OK;
}

enum sy_status sy_group_exchange(struct sy_ctx *ctx, struct sy_group *group, const char *what,
                                 const struct sy_transfer *list, size_t count)
{
    const int tag = (int)(group->exchanges++ % TAGS);
    size_t pieces = 0;
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
