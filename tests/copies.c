// SPDX-License-Identifier: Apache-2.0
// copies.c: what moves between host and device takes its turn among the programs, and the host does not wait for it.
// On every device of this machine.
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "hostlib/backend.h"
#include "hostlib/ring.h"
#include "tests/axpb.h"
#include "tests/tap.h"

// ---- the ring ------------------------------------------------------------------------------------------------------

/// Pieces of many sizes, taken and given back in an order of chance: none may touch another or the end.
static void test_ring(struct tap *t)
{
    struct sy_ring ring = {0};
    uint64_t bytes[SY_RING_PIECES] = {0}, random = 1;
    bool good = true;
    unsigned taken = 0, refused = 0;
    for (int i = 0; i < 20000 && good; ++i) {
        random = random * UINT64_C(6364136223846793005) + 1;
        const uint64_t size = (random >> 33) % (random >> 62 == 0 ? SY_RING_PIECE_BYTES + 1 : 300000);
        uint32_t slot = UINT32_MAX;
        if (!sy_ring_take(&ring, size, &slot)) {
            good = ring.count > 0;
            ++refused;
            sy_ring_give(&ring);
            continue;
        }
        ++taken;
        bytes[slot] = size;
        good = ring.start[slot] % SY_RING_ALIGN == 0 && ring.start[slot] + size <= SY_RING_BYTES;
        for (uint32_t k = 0; k + 1 < ring.count && good; ++k) {
            const uint32_t other = (ring.oldest + k) % SY_RING_PIECES;
            good = ring.start[slot] + size <= ring.start[other] || ring.start[other] + bytes[other] <= ring.start[slot];
        }
        if (random >> 60 == 0)
            sy_ring_give(&ring);
    }
    while (good && ring.count > 0)
        sy_ring_give(&ring);
    uint32_t slot;
    good = good && sy_ring_take(&ring, SY_RING_PIECE_BYTES, &slot);
    tap_ok(t, good && taken > 1000 && refused > 1000, "ring: %u pieces taken, %u refused, none overlapping", taken,
           refused);
}

// ---- work that keeps a device busy ----------------------------------------------------------------------------------

enum { N = 1 << 20, REPEATS = 20, SIDE = 2 << 20 };

struct bench {
    struct sy_ctx *ctx;
    struct sy_device *device;
    const char *id;
    struct sy_kernel *kernel;
    struct sy_buffer *x, *factor, *y, *side;
    struct sy_program *once, *often; ///< y = y · factor + x, once and REPEATS times.
    float *host;
};

static bool open_bench(struct bench *b, struct sy_ctx *ctx, const char *id)
{
    *b = (struct bench){.ctx = ctx, .id = id, .host = malloc(N * sizeof *b->host)};
    if (b->host == NULL || sy_device_open(ctx, id, &b->device) != SY_OK)
        return false;
    const struct sy_kernel_params params = axpb_params(sy_device_caps(b->device));
    if (sy_kernel_create(b->device, &params, &b->kernel) != SY_OK ||
        sy_buffer_create(b->device, "x", N * 4, &b->x) != SY_OK ||
        sy_buffer_create(b->device, "factor", 16, &b->factor) != SY_OK ||
        sy_buffer_create(b->device, "y", N * 4, &b->y) != SY_OK ||
        sy_buffer_create(b->device, "side", SIDE, &b->side) != SY_OK)
        return false;
    const struct axpb_args args = {.n = N};
    struct sy_dispatch d[REPEATS];
    for (int i = 0; i < REPEATS; ++i) {
        d[i] = (struct sy_dispatch){.kernel = b->kernel,
                                    .bindings = {{b->x, 0, N * 4}, {b->factor, 0, 16}, {b->y, 0, N * 4}},
                                    .write_mask = 4,
                                    .groups = (N + params.wg - 1) / params.wg,
                                    .label = "step",
                                    .flops = 2 * N};
        memcpy(d[i].args, &args, sizeof args);
    }
    bool good = sy_program_create(b->device, "once", d, 1, &b->once) == SY_OK &&
                sy_program_create(b->device, "often", d, REPEATS, &b->often) == SY_OK;
    for (int i = 0; i < 8 && good; ++i) // the first replays wait: they are measured
        good = sy_program_submit(b->once) == SY_OK && sy_program_submit(b->often) == SY_OK;
    return good;
}

static void close_bench(struct bench *b)
{
    sy_program_destroy(&b->once);
    sy_program_destroy(&b->often);
    sy_kernel_destroy(&b->kernel);
    sy_buffer_destroy(&b->x);
    sy_buffer_destroy(&b->factor);
    sy_buffer_destroy(&b->y);
    sy_buffer_destroy(&b->side);
    sy_device_close(&b->device);
    free(b->host);
}

static bool write_all(struct bench *b, struct sy_buffer *buffer, float value, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        b->host[i] = value;
    return sy_buffer_write(buffer, 0, b->host, count * sizeof *b->host) == SY_OK;
}

/// Whether y is `value` everywhere. All numbers are small whole ones, so every device must be exact.
static bool y_is(struct bench *b, float value)
{
    if (sy_buffer_read(b->y, 0, b->host, N * sizeof *b->host) != SY_OK)
        return false;
    for (size_t i = 0; i < N; ++i)
        if (b->host[i] != value) {
            printf("# element %zu: %g, expected %g\n", i, (double)b->host[i], (double)value);
            return false;
        }
    return true;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// ---- writes --------------------------------------------------------------------------------------------------------

/// A program sees what was written before it was submitted, and nothing written after it; nobody waits in between.
static void test_write_order(struct tap *t, struct bench *b)
{
    enum { ROUNDS = 8 };
    bool good = write_all(b, b->factor, 1, 4) && sy_buffer_zero(b->y, 0, N * 4) == SY_OK;
    float want = 0;
    for (int i = 0; i < ROUNDS && good; ++i) {
        good = write_all(b, b->x, (float)i, N) && write_all(b, b->factor, i % 3 == 2 ? 0 : 1, 4) &&
               sy_program_submit(b->once) == SY_OK;
        want = (i % 3 == 2 ? 0 : want) + (float)i;
    }
    tap_ok(t, good && y_is(b, want), "%s: %d programs with writes between them, each sees its own", b->id, ROUNDS);
}

/// More bytes and more pieces than the ring has, while the device is busy: the last of each place wins.
static void test_write_overflow(struct tap *t, struct bench *b)
{
    enum { PIECES = 3 * SY_RING_PIECES, ROUNDS = 12 };
    unsigned char *sent = malloc(SIDE), *got = malloc(SIDE);
    bool good = sent != NULL && got != NULL && sy_program_submit(b->often) == SY_OK;
    for (int round = 0; round < ROUNDS && good; ++round) { // 24 MiB
        memset(sent, 1 + round, SIDE);
        good = sy_buffer_write(b->side, 0, sent, SIDE) == SY_OK;
    }
    for (int i = 0; i < PIECES && good; ++i) {
        memset(sent + (size_t)i * 1001, i % 251, 1500);
        good = sy_buffer_write(b->side, (uint64_t)i * 1001, sent + (size_t)i * 1001, 1500) == SY_OK;
    }
    good = good && sy_buffer_read(b->side, 0, got, SIDE) == SY_OK && memcmp(sent, got, SIDE) == 0;
    tap_ok(t, good, "%s: more writes than the ring holds land in order", b->id);
    free(sent);
    free(got);
}

/// A write to what queued programs still read returns long before they are done, and they do not see it.
static void test_write_returns(struct tap *t, struct bench *b)
{
    bool good = write_all(b, b->factor, 1, 4) && write_all(b, b->x, 1, N) && sy_buffer_zero(b->y, 0, N * 4) == SY_OK &&
                sy_device_wait(b->device) == SY_OK;
    for (size_t i = 0; i < N; ++i)
        b->host[i] = 100;
    good = good && sy_program_submit(b->often) == SY_OK && sy_program_submit(b->often) == SY_OK;
    const double before = seconds();
    good = good && sy_buffer_write(b->x, 0, b->host, N * sizeof *b->host) == SY_OK;
    const double written = seconds();
    good = good && sy_device_wait(b->device) == SY_OK;
    const double done = seconds();
    tap_ok(t, good && written - before < done - written,
           "%s: a write took %.1f ms, what was queued before it %.1f ms more", b->id, 1e3 * (written - before),
           1e3 * (done - written));
    tap_ok(t, good && y_is(b, 2 * REPEATS), "%s: what was queued before the write did not see it", b->id);
}

// ---- reads under way -----------------------------------------------------------------------------------------------

/// Each read has the bytes of its own place among programs and writes; nobody waits in between, and the ring overflows.
static void test_many_reads(struct tap *t, struct bench *b)
{
    enum { READS = 80, COUNT = 100000 }; // 32 MB, and more pieces than there are
    float *got = malloc((size_t)READS * COUNT * sizeof *got);
    struct sy_event *events[READS] = {NULL};
    bool good = got != NULL && write_all(b, b->factor, 1, 4) && write_all(b, b->x, 1, N) &&
                sy_buffer_zero(b->y, 0, N * 4) == SY_OK;
    for (int i = 0; i < READS && good; ++i) {
        good = sy_buffer_read_start(b->y, 0, got + (size_t)i * COUNT, COUNT * sizeof *got, &events[i]) == SY_OK;
        if (good && i % 8 == 7) // y grows by one
            good = sy_program_submit(b->once) == SY_OK;
        const float mark = (float)i;
        good = good && sy_buffer_write(b->y, 0, &mark, sizeof mark) == SY_OK;
    }
    unsigned wrong = 0, vain = 0;
    for (int i = READS - 1; i >= 0 && good; --i) { // not in their order
        bool done = false;
        if (i % 2 == 0)
            good = sy_event_wait(events[i]) == SY_OK;
        for (good = good && sy_event_done(events[i], &done) == SY_OK; good && !done; ++vain) {
            nanosleep(&(struct timespec){0, 1000000}, NULL);
            good = sy_event_done(events[i], &done) == SY_OK;
        }
        const float *y = got + (size_t)i * COUNT;
        wrong += good && y[0] != (i == 0 ? 0.0f : (float)(i - 1));
        for (size_t k = 1; k < COUNT && good; ++k)
            wrong += y[k] != (float)(i / 8);
    }
    tap_ok(t, good && wrong == 0, "%s: %d reads under way, each of its own moment (%u wrong; %u times not yet done)",
           b->id, READS, wrong, vain);
    for (int i = 0; i < READS; ++i)
        sy_event_destroy(&events[i]);
    free(got);
}

/// Starting a read returns before what it reads is computed; it is handed over when that is done, and destroying waits.
static void test_read_returns(struct tap *t, struct bench *b)
{
    float *got = calloc(N, sizeof *got);
    struct sy_event *event = NULL;
    bool done = true;
    bool good = got != NULL && write_all(b, b->factor, 1, 4) && write_all(b, b->x, 1, N) &&
                sy_buffer_zero(b->y, 0, N * 4) == SY_OK && sy_device_wait(b->device) == SY_OK &&
                sy_program_submit(b->often) == SY_OK && sy_buffer_read_start(b->y, 0, got, N * 4, &event) == SY_OK &&
                sy_event_done(event, &done) == SY_OK;
    tap_ok(t, good && !done, "%s: a read of what is being computed is not done at once", b->id);
    good = good && sy_program_submit(b->once) == SY_OK;
    sy_event_destroy(&event);
    for (size_t i = 0; i < N && good; ++i)
        good = got[i] == REPEATS;
    tap_ok(t, good && event == NULL, "%s: destroying it waits for its bytes, without those of later programs", b->id);
    free(got);
}

// ---- copies --------------------------------------------------------------------------------------------------------

static void test_copies(struct tap *t, struct bench *b)
{
    enum { BYTES = 50001, FROM = 3, TO = 777777 };
    unsigned char *want = calloc(1, SIDE), *got = malloc(SIDE);
    bool good = want != NULL && got != NULL;
    for (size_t i = 0; i < BYTES && good; ++i)
        want[FROM + i] = (unsigned char)(i * 7 + i / 251 + 1);
    good = good && sy_buffer_write(b->side, 0, want, SIDE) == SY_OK &&
           sy_buffer_copy(b->side, FROM, b->side, TO, BYTES) == SY_OK && sy_buffer_zero(b->side, 0, 4096) == SY_OK &&
           sy_buffer_read(b->side, 0, got, SIDE) == SY_OK;
    if (good) {
        memcpy(want + TO, want + FROM, BYTES);
        memset(want, 0, 4096);
    }
    tap_ok(t, good && memcmp(want, got, SIDE) == 0, "%s: a range of odd offset and length is copied, in order", b->id);

    good = write_all(b, b->factor, 1, 4) && write_all(b, b->x, 2, N) && sy_buffer_zero(b->y, 0, N * 4) == SY_OK;
    for (int i = 0; i < 4 && good; ++i) // y += x, x = y
        good = sy_program_submit(b->once) == SY_OK && sy_buffer_copy(b->y, 0, b->x, 0, N * 4) == SY_OK;
    tap_ok(t, good && y_is(b, 16), "%s: copies and programs see each other in order", b->id);
    free(want);
    free(got);
}

static void tap_refused(struct tap *t, const struct bench *b, enum sy_status status, enum sy_status code,
                        const char *word, const char *what)
{
    const bool good = status == code && strstr(sy_error(b->ctx), word) != NULL;
    if (!tap_ok(t, good, "%s: %s: %s, saying \"%s\"", b->id, what, sy_status_name(code), word))
        printf("# got %s: %s\n", sy_status_name(status), sy_error(b->ctx));
}

static void test_refusals(struct tap *t, struct bench *b)
{
    struct sy_event *event = NULL;
    struct sy_device *other = NULL;
    struct sy_buffer *theirs = NULL, *side = b->side;
    unsigned char got[16];
#define REFUSED(call, word, what) tap_refused(t, b, call, SY_INVALID, word, what)
    REFUSED(sy_buffer_copy(side, 0, side, 15, 16), "overlap", "a copy onto itself");
    REFUSED(sy_buffer_copy(side, 15, side, 0, 16), "overlap", "and backwards");
    tap_ok(t, sy_buffer_copy(side, 16, side, 0, 16) == SY_OK, "%s: neighbours do not overlap", b->id);
    REFUSED(sy_buffer_copy(side, SIDE - 8, b->x, 0, 16), "copying from buffer 'side'", "beyond the end");
    REFUSED(sy_buffer_copy(b->x, 0, side, UINT64_MAX, 16), "copying to buffer 'side'", "a wrapping offset");
    if (sy_device_open(b->ctx, "ref:0", &other) == SY_OK && sy_buffer_create(other, "theirs", 64, &theirs) == SY_OK)
        REFUSED(sy_buffer_copy(theirs, 0, side, 0, 16), "'theirs'", "another device's buffer");
    else
        tap_ok(t, 0, "ref:0 opens beside %s", b->id);
    sy_buffer_destroy(&theirs);
    sy_device_close(&other);
    REFUSED(sy_buffer_read_start(side, SIDE - 8, got, 16, &event), "'side'", "a read beyond the end");
    REFUSED(sy_buffer_read_start(side, 0, NULL, 16, &event), "NULL", "a read to nowhere");
    REFUSED(sy_buffer_read_start(side, 0, got, 0, &event), "0 bytes", "a read of nothing");
#undef REFUSED
    tap_ok(t, event == NULL, "%s: refused reads leave the output alone", b->id);
}

/// The last test of a bench: its device is said to be lost while a read is under way.
static void test_lost(struct tap *t, struct bench *b)
{
    unsigned char *got = calloc(3, 64);
    struct sy_event *events[2] = {NULL}, *none = NULL;
    bool done = false;
    const bool good = got != NULL && sy_buffer_read_start(b->side, 0, got, 64, &events[0]) == SY_OK &&
                      sy_event_wait(events[0]) == SY_OK && sy_program_submit(b->often) == SY_OK &&
                      sy_buffer_read_start(b->y, 0, got + 64, 64, &events[1]) == SY_OK;
    if (tap_ok(t, good, "%s: two reads, one of them done", b->id)) {
        b->device->lost = true;
        tap_refused(t, b, sy_event_wait(events[1]), SY_DEVICE, "lost", "waiting for a read");
        tap_refused(t, b, sy_event_done(events[1], &done), SY_DEVICE, "lost", "asking for one");
        tap_ok(t, sy_event_wait(events[0]) == SY_OK && sy_event_done(events[0], &done) == SY_OK && done,
               "%s: what was done stays done", b->id);
        tap_refused(t, b, sy_buffer_write(b->side, 0, got, 64), SY_DEVICE, "lost", "a write");
        tap_refused(t, b, sy_buffer_read_start(b->side, 0, got + 128, 64, &none), SY_DEVICE, "lost", "a read");
        tap_refused(t, b, sy_buffer_copy(b->side, 0, b->x, 0, 16), SY_DEVICE, "lost", "a copy");
    }
    sy_event_destroy(&events[0]);
    sy_event_destroy(&events[1]);
    tap_ok(t, none == NULL && events[1] == NULL, "%s: reads of a lost device can be destroyed", b->id);
    close_bench(b); // the driver is well, and is done with `got` when its device is closed
    free(got);
}

// ---- memory ---------------------------------------------------------------------------------------------------------

static void count_errors(void *user, enum sy_log_level level, const char *text)
{
    (void)text;
    if (level == SY_LOG_ERROR)
        ++*(unsigned *)user;
}

/// A driver without memory: one message, with the buffer's name.
static void test_out_of_memory(struct tap *t, const char *id)
{
#ifdef __SANITIZE_ADDRESS__
    tap_skip(t, "%s: its allocator ends the process where others return NULL", id);
#else
    enum { WANTED = 64 << 20 };
    unsigned errors = 0;
    struct sy_ctx *ctx = sy_ctx_create(count_errors, &errors, SY_LOG_ERROR);
    struct sy_device *device = NULL;
    struct sy_buffer *buffer = NULL;
    struct rlimit limit, none;
    bool good = ctx != NULL && sy_device_open(ctx, id, &device) == SY_OK && getrlimit(RLIMIT_AS, &limit) == 0;
    if (good && !sy_device_caps(device)->software && sy_device_caps(device)->backend != SY_BACKEND_REF) {
        tap_skip(t, "%s: its memory is not this process's", id);
    } else {
        none = limit;
        none.rlim_cur = 1 << 20; // less than is in use: nothing more can be mapped
        good = good && setrlimit(RLIMIT_AS, &none) == 0;
        const enum sy_status status = good ? sy_buffer_create(device, "large", WANTED, &buffer) : SY_OK;
        good = good && setrlimit(RLIMIT_AS, &limit) == 0;
        tap_ok(t, good && status == SY_NOMEM && errors == 1 && strstr(sy_error(ctx), "'large' wants 67108864") != NULL,
               "%s: short memory is said once (%u times): %s", id, errors, ctx != NULL ? sy_error(ctx) : "no context");
    }
    sy_buffer_destroy(&buffer);
    sy_device_close(&device);
    sy_ctx_destroy(&ctx);
#endif
}

static void test_device(struct tap *t, struct sy_ctx *ctx, const char *id)
{
    struct bench b;
    if (tap_ok(t, open_bench(&b, ctx, id), "%s opens", id)) {
        test_write_order(t, &b);
        test_write_overflow(t, &b);
        test_many_reads(t, &b);
        test_copies(t, &b);
        test_refusals(t, &b);
        if (sy_device_caps(b.device)->backend != SY_BACKEND_REF) { // there, submitting is computing
            test_write_returns(t, &b);
            test_read_returns(t, &b);
        }
        test_lost(t, &b);
    } else {
        printf("# %s\n", sy_error(ctx));
        close_bench(&b);
    }
    test_out_of_memory(t, id);
}

int main(void)
{
    struct tap t = {0};
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_WARN);
    struct sy_caps *list = NULL;
    size_t count = 0;
    test_ring(&t);
    const bool listed = ctx != NULL && sy_device_list(ctx, &list, &count) == SY_OK;
    if (tap_ok(&t, listed && count > 0, "%zu devices", count))
        for (size_t i = 0; i < count; ++i)
            test_device(&t, ctx, list[i].id);
    free(list);
    sy_ctx_destroy(&ctx);
    return tap_done(&t);
}
