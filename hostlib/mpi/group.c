// SPDX-License-Identifier: Apache-2.0
// mpi/group.c: <mpi.h> is included here only.
#include "hostlib/group.h"

#include <mpi.h>

enum sy_status sy_group_open(struct sy_ctx *ctx, struct sy_group *out)
{
    *out = (struct sy_group){.rank = 0, .size = 1};
    if (sy_group_launched() == 1)
        return SY_OK; // MPI_Init costs half a second and opens sockets
    int provided, rank, size;
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
    *out = (struct sy_group){.rank = (uint32_t)rank, .size = (uint32_t)size, .started = true};
    return SY_OK;
}

void sy_group_close(struct sy_group *group)
{
    if (group->started)
        MPI_Finalize();
    *group = (struct sy_group){.rank = 0, .size = 1};
}
