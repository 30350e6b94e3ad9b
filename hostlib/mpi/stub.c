// SPDX-License-Identifier: Apache-2.0
// mpi/stub.c: a build without MPI runs one rank.
#include "hostlib/group.h"

enum sy_status sy_group_open(struct sy_ctx *ctx, struct sy_group *out)
{
    *out = (struct sy_group){.size = 1, .node_size = 1};
    sy_group_warn_alone(ctx);
    if (sy_group_launched() == 1)
        return SY_OK;
    return sy_fail(ctx, SY_UNSUPPORTED,
                   "started as one of %u processes, but this build has no MPI: configure with -Dmpi=enabled, or start "
                   "one process",
                   sy_group_launched());
}

void sy_group_close(struct sy_group *group) { *group = (struct sy_group){.size = 1, .node_size = 1}; }

void sy_group_abort(const struct sy_group *group) { (void)group; }

enum sy_status sy_group_start(struct sy_ctx *ctx, struct sy_group *group, const char *what,
                              const struct sy_transfer *list, size_t count, struct sy_exchange **out)
{
    (void)group, (void)list, (void)count, (void)out;
    return sy_fail(ctx, SY_UNSUPPORTED, "%s: this build has no MPI", what);
}

enum sy_status sy_group_look(struct sy_ctx *ctx, struct sy_exchange *exchange, bool wait, bool *out_done)
{
    (void)exchange, (void)wait, (void)out_done;
    return sy_fail(ctx, SY_UNSUPPORTED, "this build has no MPI");
}

uint32_t sy_group_reserve(struct sy_group *group, uint32_t peer, uint32_t count)
{
    (void)group, (void)peer;
    return count;
}

void sy_group_drop(struct sy_exchange **exchange) { *exchange = NULL; }
