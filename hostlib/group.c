// SPDX-License-Identifier: Apache-2.0
#include "hostlib/group.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hostlib/pulse.h"

/// The environment's number of that name; 0 when there is none.
static uint32_t number(const char *variable)
{
    const char *text = getenv(variable);
    const unsigned long value = text != NULL ? strtoul(text, NULL, 10) : 0;
    return value <= UINT32_MAX ? (uint32_t)value : 0;
}

uint32_t sy_group_launched(void)
{
    // Open MPI's mpirun; the process managers of MPICH and Slurm's srun --mpi=pmi2; srun --mpi=pmix, which names each
    // process and counts them as Slurm does.
    static const char *const variables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    for (size_t i = 0; i < SY_COUNT(variables); ++i)
        if (number(variables[i]) != 0)
            return number(variables[i]);
    return getenv("PMIX_RANK") != NULL && number("SLURM_STEP_NUM_TASKS") != 0 ? number("SLURM_STEP_NUM_TASKS") : 1;
}

void sy_group_warn_alone(struct sy_ctx *ctx)
{
    if (sy_group_launched() == 1 && number("SLURM_STEP_NUM_TASKS") > 1)
        sy_log(
            ctx, SY_LOG_WARN,
            "srun started %u processes that do not know of each other, and each computes alone: for ranks of one run "
            "use srun --mpi=pmix (srun --mpi=list says what there is)",
            number("SLURM_STEP_NUM_TASKS"));
}

enum sy_status sy_group_watch(struct sy_ctx *ctx, struct sy_group *group)
{
    assert(group->pulse == NULL);
    return group->size == 1 ? SY_OK : sy_pulse_open(ctx, group, &group->pulse);
}

enum sy_status sy_group_name(struct sy_ctx *ctx, struct sy_group *group, const char *name)
{
    char mine[sizeof *group->names] = "";
    if (group->size == 1)
        return SY_OK;
    snprintf(mine, sizeof mine, "%s", name);
    char(*all)[sizeof mine] = calloc(group->size, sizeof *all);
    if (all == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    const enum sy_status status = sy_group_collect(ctx, group, "what ranks are called", mine, sizeof mine, all);
    for (uint32_t r = 0; r < group->size; ++r)
        all[r][sizeof mine - 1] = '\0';
    free(group->names);
    group->names = all;
    return status;
}

bool sy_group_speak(struct sy_group *group)
{
    if (group->pulse != NULL && !group->told)
        group->told = !sy_pulse_speak(group->pulse);
    return !group->told;
}

enum sy_status sy_group_slow_down(struct sy_ctx *ctx, struct sy_group *group)
{
    const char *text = getenv("SY_SLOW_WIRE");
    char *end = NULL;
    if (text == NULL || text[0] == '\0')
        return SY_OK;
    unsigned long long parts[3] = {0}; // latency, megabytes a second, and what a message takes
    unsigned count = 0;
    for (end = (char *)text; count < SY_COUNT(parts) && *end >= '0' && *end <= '9'; end += *end == ',')
        parts[count++] = strtoull(end, &end, 10);
    if (count < 2 || *end != '\0' || end[-1] == ',' || parts[0] > 1000000 || parts[1] == 0 || parts[1] > 1000000 ||
        parts[2] > 1000000)
        return sy_fail(ctx, SY_INVALID,
                       "SY_SLOW_WIRE is \"%s\": expected MICROSECONDS,MEGABYTES_PER_SECOND[,MICROSECONDS_PER_MESSAGE], "
                       "whole numbers, as 50,1000",
                       text);
    group->wire = (struct sy_wire){.latency_s = 1e-6 * (double)parts[0],
                                   .bytes_per_s = 1e6 * (double)parts[1],
                                   .message_s = 1e-6 * (double)parts[2]};
    return SY_OK;
}

enum sy_status sy_group_find_hosts(struct sy_ctx *ctx, struct sy_group *group, uint32_t lowest)
{
    const char *text = getenv("SY_HOST_RANKS");
    const uint32_t each = text != NULL && text[0] != '\0' ? number("SY_HOST_RANKS") : 1;
    if (each == 0)
        return sy_fail(ctx, SY_INVALID, "SY_HOST_RANKS is \"%s\": expected a number of ranks, as 2", text);
    if (text != NULL && text[0] != '\0')
        lowest = group->rank / each * each;
    if ((group->hosts = calloc(group->size, sizeof *group->hosts)) == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    SY_TRY(sy_group_collect(ctx, group, "which ranks share a host", &lowest, sizeof lowest, group->hosts));
    for (uint32_t r = 0; r < group->size; ++r)
        group->several_hosts |= group->hosts[r] != group->hosts[0];
    return SY_OK;
}

void sy_group_rest(uint64_t looks)
{
    const struct timespec nap = {.tv_nsec = 50000};
    if (looks < 200)
        sched_yield();
    else
        nanosleep(&nap, NULL);
}

enum sy_status sy_group_exchange(struct sy_ctx *ctx, struct sy_group *group, const char *what,
                                 const struct sy_transfer *list, size_t count)
{
    struct sy_exchange *x = NULL;
    bool done = false;
    enum sy_status status = sy_group_start(ctx, group, what, list, count, &x);
    for (uint64_t looks = 0; status == SY_OK && !done; ++looks) {
        status = sy_group_look(ctx, x, true, &done);
        if (!done)
            sy_group_rest(looks);
    }
    sy_group_drop(&x);
    return status;
}

enum sy_status sy_group_spread(struct sy_ctx *ctx, struct sy_group *group, uint32_t from, void *data, uint64_t bytes)
{
    if (group->size == 1)
        return SY_OK;
    const bool send = group->rank == from;
    struct sy_transfer *list = calloc(group->size, sizeof *list);
    size_t count = 0;
    if (list == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    for (uint32_t r = 0; r < group->size && send; ++r)
        if (r != from)
            list[count++] = (struct sy_transfer){.peer = r, .send = true, .data = data, .bytes = bytes};
    if (!send)
        list[count++] = (struct sy_transfer){.peer = from, .data = data, .bytes = bytes};
    const enum sy_status status = sy_group_exchange(ctx, group, "a rank's word to all", list, count);
    free(list);
    return status;
}

enum sy_status sy_group_collect(struct sy_ctx *ctx, struct sy_group *group, const char *what, const void *data,
                                uint64_t bytes, void *out)
{
    char *all = out;
    memcpy(all + group->rank * bytes, data, bytes);
    if (group->size == 1)
        return SY_OK;
    struct sy_transfer *list = calloc(2 * (size_t)group->size, sizeof *list);
    size_t count = 0;
    if (list == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    for (uint32_t r = 0; r < group->size; ++r) {
        if (r == group->rank)
            continue;
        list[count++] = (struct sy_transfer){.peer = r, .data = all + r * bytes, .bytes = bytes};
        list[count++] =
            (struct sy_transfer){.peer = r, .send = true, .data = all + group->rank * bytes, .bytes = bytes};
    }
    const enum sy_status status = sy_group_exchange(ctx, group, what, list, count);
    free(list);
    return status;
}

enum sy_status sy_group_agree(struct sy_ctx *ctx, struct sy_group *group, enum sy_status status)
{
    if (group->size == 1)
        return status;
    const int32_t mine = status;
    int32_t *all = calloc(group->size, sizeof *all);
    enum sy_status others =
        all == NULL ? SY_NOMEM : sy_group_collect(ctx, group, "whether all ranks are well", &mine, sizeof mine, all);
    for (uint32_t r = 0; r < group->size && others == SY_OK; ++r)
        others = all[r] != SY_OK ? SY_COMM : SY_OK;
    group->told |= status == SY_OK && others == SY_COMM;
    free(all);
    return status != SY_OK ? status : others;
}
