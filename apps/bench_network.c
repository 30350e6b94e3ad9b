// SPDX-License-Identifier: Apache-2.0
// bench_network.c: latency and bandwidth between two ranks, as switchyard-plan --network takes them.
#include <stdio.h>
#include <stdlib.h>

#include "apps/bench.h"

#define SMALL_BYTES 64
#define LARGE_BYTES (UINT64_C(4) << 20)

/// Seconds until both have what the other sent.
static enum sy_status swap(struct sy_ctx *ctx, struct sy_group *group, char *out, char *in, uint64_t bytes,
                           double *seconds)
{
    const uint32_t peer = 1 - group->rank;
    const struct sy_transfer list[] = {{.peer = peer, .send = false, .data = in, .bytes = bytes},
                                       {.peer = peer, .send = true, .data = out, .bytes = bytes}};
    const double from = cli_seconds();
    SY_TRY(sy_group_exchange(ctx, group, "a measurement", list, SY_COUNT(list)));
    *seconds = cli_seconds() - from;
    return SY_OK;
}

static enum sy_status measure(struct sy_ctx *ctx, struct sy_group *group, uint64_t bytes, uint64_t repeat, double *out)
{
    char *room = calloc(2, bytes);
    double *times = calloc(repeat, sizeof *times), ignored;
    enum sy_status status = room == NULL || times == NULL ? sy_fail(ctx, SY_NOMEM, "out of host memory") : SY_OK;
    if (status == SY_OK)
        status = swap(ctx, group, room, room + bytes, bytes, &ignored);
    for (uint64_t i = 0; i < repeat && status == SY_OK; ++i)
        status = swap(ctx, group, room, room + bytes, bytes, &times[i]);
    if (status == SY_OK)
        *out = bench_median(times, repeat);
    free(times);
    free(room);
    return status;
}

static enum sy_status run(struct sy_ctx *ctx, struct ranks *r, uint64_t repeat)
{
    double small = 0.0, large = 0.0;
    if (r->group.size != 2)
        return sy_fail(ctx, SY_INVALID, "network: between two ranks; start it with mpirun -n 2");
    SY_TRY(measure(ctx, &r->group, SMALL_BYTES, 10 * repeat, &small));
    SY_TRY(measure(ctx, &r->group, LARGE_BYTES, repeat, &large));
    const double rate = (double)LARGE_BYTES / (large > small ? large - small : large);
    char text[2][64];
    snprintf(text[0], sizeof text[0], "%.3gus,%.4gGB/s", 1e6 * small, 1e-9 * rate);
    snprintf(text[1], sizeof text[1], ",65536,%.3gus,%.4gGB/s", 1e6 * small, 1e-9 * rate);
    printf("%s%s\n", text[0], r->group.node_size == 2 ? text[1] : "");
    return SY_OK;
}

enum sy_status bench_network(struct bench *b)
{
    struct ranks r = {.name = ""};
    enum sy_status status = ranks_open(&r, &b->o->ranks, "switchyard-bench", &b->ctx);
    if (status == SY_OK)
        status = run(b->ctx, &r, b->o->repeat);
    ranks_close(&r, b->ctx, status);
    return status;
}
