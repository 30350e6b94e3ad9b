// SPDX-License-Identifier: Apache-2.0
// bench_transfer.c: bytes between host and device as sessions hand them over: what a step's inputs and sums cost, and
// what loading does.
#include <stdio.h>
#include <stdlib.h>

#include "apps/bench.h"
#include "hostlib/buffer.h"

#define STEP_BYTES (UINT64_C(48) << 10) // about the inputs of a step of configs/bench-small.json
#define LOAD_BYTES (UINT64_C(16) << 20) // a full ring of pinned memory

/// A piece of host memory on its way. It is no rival, but it is timed like one: there is no graph.
struct transfer {
    struct sy_device *device;
    struct sy_buffer *buffer;
    void *host;
    uint64_t bytes;
    bool up;
};

/// Seconds of one transfer that nothing else waits for; 0 when the device fails.
static double transfer(void *of)
{
    const struct transfer *t = of;
    const double from = cli_seconds();
    const enum sy_status status =
        t->up ? sy_buffer_write(t->buffer, 0, t->host, t->bytes) : sy_buffer_read(t->buffer, 0, t->host, t->bytes);
    return status == SY_OK && sy_device_wait(t->device) == SY_OK ? cli_seconds() - from : 0.0;
}

static void describe(struct transfer *t, struct bench_entrant *e)
{
    snprintf(e->figure.what, sizeof e->figure.what, "%.0f KiB %s", (double)t->bytes / 1024,
             t->up ? "from the host" : "to the host");
    snprintf(e->figure.by, sizeof e->figure.by, "ring");
    e->figure.memory = true; // shares are of the best transfer
    e->figure.bytes = (double)t->bytes;
    e->rival = transfer;
    e->of = t;
}

enum sy_status bench_transfer(struct bench *b)
{
    struct bench_entrant list[4] = {0};
    struct sy_buffer *buffer = NULL;
    void *host = calloc(1, LOAD_BYTES);
    enum sy_status status = host != NULL ? SY_OK : sy_fail(b->ctx, SY_NOMEM, "out of host memory");
    if (status == SY_OK)
        status = sy_buffer_create(b->device, "transfers", LOAD_BYTES, &buffer);
    struct transfer transfers[SY_COUNT(list)] = {
        {b->device, buffer, host, STEP_BYTES, true},
        {b->device, buffer, host, STEP_BYTES, false},
        {b->device, buffer, host, LOAD_BYTES, true},
        {b->device, buffer, host, LOAD_BYTES, false},
    };
    for (size_t i = 0; i < SY_COUNT(list); ++i)
        describe(&transfers[i], &list[i]);
    if (status == SY_OK)
        status = bench_contest(b, list, SY_COUNT(list), NULL);
    for (size_t i = 0; i < SY_COUNT(list); ++i)
        bench_entrant_close(&list[i]);
    sy_buffer_destroy(&buffer);
    free(host);
    return status;
}

enum sy_status bench_link(const struct bench *b, double *out)
{
    struct sy_buffer *buffer = NULL;
    void *host = calloc(1, LOAD_BYTES);
    double *times = calloc(b->o->repeat, sizeof *times);
    enum sy_status status = host != NULL && times != NULL ? SY_OK : sy_fail(b->ctx, SY_NOMEM, "out of host memory");
    if (status == SY_OK)
        status = sy_buffer_create(b->device, "transfers", LOAD_BYTES, &buffer);
    for (uint64_t i = 0; i <= b->o->repeat && status == SY_OK; ++i) {
        const double from = cli_clock(b->clock);
        status = sy_buffer_write(buffer, 0, host, LOAD_BYTES);
        if (status == SY_OK)
            status = sy_buffer_read(buffer, 0, host, LOAD_BYTES);
        if (status == SY_OK)
            status = sy_device_wait(b->device);
        if (i != 0)
            times[i - 1] = cli_clock(b->clock) - from;
    }
    if (status == SY_OK)
        *out = bench_median(times, b->o->repeat) / (double)LOAD_BYTES;
    sy_buffer_destroy(&buffer);
    free(times);
    free(host);
    return status;
}
