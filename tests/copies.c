// SPDX-License-Identifier: Apache-2.0
// copies.c: what moves between host and device takes its turn among the programs, and the host does not wait for it.
// On every device of this machine.
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

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

// ---- work that keeps a device busy
// -----------------------------------------------------------------------------------

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
    return sy_program_create(b->device, "once", d, 1, &b->once) == SY_OK &&
           sy_program_create(b->device, "often", d, REPEATS, &b->often) == SY_OK;
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

// ---- memory
// ----------------------------------------------------------------------------------------------------------

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
        if (sy_device_caps(b.device)->backend != SY_BACKEND_REF) // there, submitting is computing
            test_write_returns(t, &b);
    } else {
        printf("# %s\n", sy_error(ctx));
    }
    close_bench(&b);
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
