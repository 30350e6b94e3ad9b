// SPDX-License-Identifier: Apache-2.0
// pace.c: submissions are cut by measured time: on imagined devices, slow and fast, whose dispatches cost what their
// FLOPs do not say; and on every device of this machine, where cutting must not change a bit.
#include <stdlib.h>
#include <string.h>

#include "hostlib/device.h"
#include "hostlib/pace.h"
#include "tests/axpb.h"
#include "tests/tap.h"

enum { COUNT = 600, MOST = 256 };

/// A device that was never seen.
struct imagined {
    const char *what;
    double rate;     ///< FLOPs a second …
    double overhead; ///< … beside seconds of each dispatch, whatever it computes.
    double first;    ///< The first replay takes this many times as long: kernels are compiled.
};

static double cost(const struct imagined *on, const struct sy_dispatch *d, size_t i)
{
    const double skew = i % 7 == 0 ? 8.0 : 1.0; // ops that memory holds up
    return on->overhead + skew * d[i].flops / on->rate;
}

static void replay(const struct imagined *on, const struct sy_dispatch *d, const struct sy_pace *pace, bool first,
                   double *seconds)
{
    for (size_t s = 0; s < pace->cuts; ++s) {
        seconds[s] = 0;
        for (size_t i = sy_pace_first(pace, s); i < pace->ends[s]; ++i)
            seconds[s] += (first ? on->first : 1.0) * cost(on, d, i);
    }
}

static void test_imagined(struct tap *t, const struct imagined *on)
{
    struct sy_dispatch *d = calloc(COUNT, sizeof *d);
    double *seconds = calloc(COUNT, sizeof *seconds), total = 0, longest = 0;
    struct sy_pace pace = {0};
    unsigned replays = 0, longer = 0, shorter = 0;
    if (d == NULL || seconds == NULL)
        abort();
    for (size_t i = 0; i < COUNT; ++i)
        d[i].flops = i % 50 == 0 ? 4e8 : 1e6 * (double)(1 + i * 37 % 11);
    if (!sy_pace_create(&pace, d, COUNT, MOST, 5e11, 0.035))
        abort();
    while (pace.tries != 0) {
        replay(on, d, &pace, replays == 0, seconds);
        sy_pace_measured(&pace, seconds);
        ++replays;
    }
    replay(on, d, &pace, false, seconds);
    bool covers = pace.ends[pace.cuts - 1] == COUNT;
    for (size_t s = 0; s < pace.cuts; ++s) {
        const size_t count = pace.ends[s] - sy_pace_first(&pace, s);
        covers = covers && count >= 1 && count <= MOST;
        total += seconds[s];
        longest = seconds[s] > longest ? seconds[s] : longest;
        longer += seconds[s] > 0.050 && count > 1;
        shorter += s + 1 < pace.cuts && seconds[s] + seconds[s + 1] < 0.020 &&
                   pace.ends[s + 1] - sy_pace_first(&pace, s) <= MOST;
    }
    tap_ok(t, covers && longer == 0 && shorter == 0 && replays <= 8,
           "%s: %zu submissions of %.3g ms in all, the longest %.3g ms, after %u measured replays (%u too long, %u too "
           "short)",
           on->what, pace.cuts, 1e3 * total, 1e3 * longest, replays, longer, shorter);
    sy_pace_destroy(&pace);
    free(seconds);
    free(d);
}

// ---- on devices ----------------------------------------------------------------------------------------------------

enum { N = 1000, STEPS = 201, REPLAYS = 10 };

struct bench {
    struct sy_device *device;
    struct sy_kernel *kernel;
    struct sy_buffer *x, *factor, *y;
    struct sy_program *program;
};

static bool open_bench(struct bench *b, struct sy_ctx *ctx, const char *id)
{
    *b = (struct bench){0};
    if (sy_device_open(ctx, id, &b->device) != SY_OK)
        return false;
    const struct sy_kernel_params params = axpb_params(sy_device_caps(b->device));
    if (sy_kernel_create(b->device, &params, &b->kernel) != SY_OK ||
        sy_buffer_create(b->device, "x", N * 4, &b->x) != SY_OK ||
        sy_buffer_create(b->device, "factor", 16, &b->factor) != SY_OK ||
        sy_buffer_create(b->device, "y", N * 4, &b->y) != SY_OK)
        return false;
    struct sy_dispatch d[STEPS];
    for (int i = 0; i < STEPS; ++i) {
        const struct axpb_args args = {.n = N, .add = 0.1f * (float)i};
        d[i] = (struct sy_dispatch){.kernel = b->kernel,
                                    .bindings = {{b->x, 0, N * 4}, {b->factor, 0, 16}, {b->y, 0, N * 4}},
                                    .write_mask = 4,
                                    .groups = (N + params.wg - 1) / params.wg,
                                    .flops = 2 * N};
        memcpy(d[i].args, &args, sizeof args);
    }
    return sy_program_create(b->device, "steps", d, STEPS, &b->program) == SY_OK;
}

static void close_bench(struct bench *b)
{
    sy_program_destroy(&b->program);
    sy_kernel_destroy(&b->kernel);
    sy_buffer_destroy(&b->x);
    sy_buffer_destroy(&b->factor);
    sy_buffer_destroy(&b->y);
    sy_device_close(&b->device);
}

/// What the program leaves after a number of replays; `ms` as SY_SUBMIT_MS.
static bool run(struct sy_ctx *ctx, const char *id, const char *ms, float y[N], size_t *out_submissions)
{
    struct bench b;
    const float factor[4] = {0.37f};
    setenv("SY_SUBMIT_MS", ms, 1);
    bool good = open_bench(&b, ctx, id);
    unsetenv("SY_SUBMIT_MS");
    for (int i = 0; i < N; ++i)
        y[i] = 1.0f / (float)(i + 1);
    good = good && sy_buffer_write(b.x, 0, y, N * 4) == SY_OK && sy_buffer_write(b.factor, 0, factor, 16) == SY_OK;
    for (int i = 0; i < REPLAYS && good; ++i)
        good = sy_program_submit(b.program) == SY_OK;
    good = good && sy_buffer_read(b.y, 0, y, N * 4) == SY_OK;
    *out_submissions = good ? sy_program_submissions(b.program) : 0;
    close_bench(&b);
    return good;
}

static void test_device(struct tap *t, struct sy_ctx *ctx, const struct sy_caps *caps)
{
    float whole[N], cut[N];
    size_t few = 0, many = 0;
    const bool ref = caps->backend == SY_BACKEND_REF;
    const bool good = run(ctx, caps->id, "1e6", whole, &few) && run(ctx, caps->id, "1e-6", cut, &many);
    tap_ok(t, good && few <= 4 && many == (ref ? 1 : STEPS) && memcmp(whole, cut, sizeof whole) == 0,
           "%s: the same bits in %zu submissions as in %zu", caps->id, many, few);
}

int main(void)
{
    static const struct imagined devices[] = {
        {"a GPU", 2e13, 4e-6, 1.0},
        {"a small GPU, which compiles first", 2e11, 1e-5, 300.0},
        {"a GPU in software", 2e9, 1e-4, 1.0},
        {"slower than anything", 2e7, 1e-3, 5.0},
        {"dispatches that cost more than their work", 1e12, 5e-3, 1.0},
    };
    struct tap t = {0};
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_WARN);
    struct sy_caps *list = NULL;
    struct sy_device *device = NULL;
    size_t count = 0;
    for (size_t i = 0; i < SY_COUNT(devices); ++i)
        test_imagined(&t, &devices[i]);
    const bool listed = ctx != NULL && sy_device_list(ctx, &list, &count) == SY_OK;
    if (tap_ok(&t, listed && count > 0, "%zu devices", count))
        for (size_t i = 0; i < count; ++i)
            test_device(&t, ctx, &list[i]);
    setenv("SY_SUBMIT_MS", "soon", 1);
    const bool refused = ctx != NULL && sy_device_open(ctx, "ref:0", &device) == SY_INVALID;
    tap_ok(&t, refused && strstr(sy_error(ctx), "SY_SUBMIT_MS") != NULL, "%s", refused ? sy_error(ctx) : "accepted");
    free(list);
    sy_ctx_destroy(&ctx);
    return tap_done(&t);
}
