// SPDX-License-Identifier: Apache-2.0
// mpi/group.c: joining and leaving a run. <mpi.h> is included in this folder only.
#include "hostlib/group.h"

#include <mpi.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "hostlib/pulse.h"

#define ABORT_S 5 // MPI_Abort() has so long

enum sy_status sy_group_open(struct sy_ctx *ctx, struct sy_group *out)
{
    *out = (struct sy_group){.size = 1, .node_size = 1};
    sy_group_warn_alone(ctx);
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
    if ((uint32_t)size != sy_group_launched()) { // each would take itself for the only one
        MPI_Finalize();
        return sy_fail(ctx, SY_COMM,
                       "%u processes were started, but MPI joined %d: this MPI does not speak the launcher's protocol; "
                       "start them with its own mpirun, or with another srun --mpi=… (pmix for Debian's Open MPI)",
                       sy_group_launched(), size);
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node) != MPI_SUCCESS ||
        MPI_Comm_rank(node, &node_rank) != MPI_SUCCESS || MPI_Comm_size(node, &node_size) != MPI_SUCCESS)
        return sy_fail(ctx, SY_COMM, "MPI could not say which ranks share a host");
    int lowest = rank;
    if (MPI_Bcast(&lowest, 1, MPI_INT, 0, node) != MPI_SUCCESS)
        return sy_fail(ctx, SY_COMM, "MPI could not say which ranks share a host");
    MPI_Comm_free(&node);
    *out = (struct sy_group){.rank = (uint32_t)rank,
                             .size = (uint32_t)size,
                             .node_rank = (uint32_t)node_rank,
                             .node_size = (uint32_t)node_size,
                             .turns = calloc((size_t)size, sizeof *out->turns),
                             .started = true};
    if (out->turns == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    SY_TRY(sy_group_find_hosts(ctx, out, (uint32_t)lowest));
    return sy_group_slow_down(ctx, out);
}

void sy_group_close(struct sy_group *group)
{
    if (group->started)
        MPI_Finalize();
    sy_pulse_close(&group->pulse); // MPI_Finalize waits for all: nobody asks any more
    free(group->names);
    free(group->turns);
    free(group->hosts);
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
