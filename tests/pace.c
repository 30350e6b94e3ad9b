// SPDX-License-Identifier: Apache-2.0
// pace.c: submissions are cut by measured time: on imagined devices, slow and fast, whose dispatches cost what their
// FLOPs do not say and which slow down later; and on every device of this machine, where cutting must not change a bit,
// between dispatches and within one.
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

/// Work-groups of a dispatch are not alike: the last ones take half as long again as the first.
static double share(const struct sy_submission *s, const struct sy_dispatch *d)
{
    uint64_t first, end;
    sy_pace_share(s, d->groups, &first, &end);
    const double from = (double)first / (double)d->groups, to = (double)end / (double)d->groups;
    return 0.8 * (to - from) + 0.2 * (to * to - from * from);
}

/// What an imagined device makes of a program, slowed down by a factor.
static void replay(const struct imagined *on, const struct sy_dispatch *d, struct sy_pace *pace, double factor)
{
    for (size_t s = 0; s < pace->cuts; ++s) {
        struct sy_submission *one = &pace->list[s];
        one->seconds = 0;
        for (size_t i = one->first; i < one->end; ++i)
            one->seconds += factor * cost(on, d, i) * share(one, &d[i]);
    }
}

struct verdict {
    unsigned longer, shorter;
    double total, longest;
    bool covers; ///< Every work-group of every dispatch once, in order.
};

static struct verdict judge(const struct sy_dispatch *d, const struct sy_pace *pace)
{
    struct verdict v = {.covers = true};
    size_t next = 0;
    uint64_t group = 0;
    for (size_t s = 0; s < pace->cuts; ++s) {
        const struct sy_submission *one = &pace->list[s], *after = one + 1;
        uint64_t first, end;
        sy_pace_share(one, d[one->first].groups, &first, &end);
        const bool part = one->parts > 1, last = !part || one->part + 1 == one->parts;
        v.covers &= one->first == next && one->end > next && one->end - next <= MOST &&
                    (!part || one->end == next + 1) && first == group && (end == d[one->first].groups) == last &&
                    one->parts <= d[one->first].groups;
        next = last ? one->end : next;
        group = last ? 0 : end;
        v.total += one->seconds;
        v.longest = one->seconds > v.longest ? one->seconds : v.longest;
        v.longer += one->seconds > 0.050 &&
                    (one->end - one->first > 1 || (one->parts < 1024 && one->parts < d[one->first].groups));
        const bool joined = part ? !last && after->part == 1 && one->parts == 2 : after->parts == 1;
        v.shorter +=
            s + 1 < pace->cuts && joined && one->seconds + after->seconds < 0.020 && after->end - one->first <= MOST;
    }
    v.covers &= next == COUNT;
    return v;
}

/// Replays while they are measured. How many that were.
static unsigned settle(const struct imagined *on, const struct sy_dispatch *d, struct sy_pace *pace, double slower,
                       double first, double *now)
{
    unsigned replays = 0;
    bool cut;
    for (; sy_pace_due(pace, *now) && replays < 100; ++replays) {
        replay(on, d, pace, slower * (replays == 0 ? first : 1.0));
        for (size_t s = 0; s < pace->cuts; ++s)
            *now += pace->list[s].seconds;
        if (!sy_pace_measured(pace, *now, &cut))
            abort();
    }
    replay(on, d, pace, slower);
    return replays;
}

static void say(struct tap *t, const struct imagined *on, const char *when, const struct sy_pace *pace,
                struct verdict v, bool good, unsigned replays)
{
    size_t parts = 0;
    for (size_t s = 0; s < pace->cuts; ++s)
        parts += pace->list[s].parts > 1;
    tap_ok(t, good && v.covers && v.longer == 0 && v.shorter == 0,
           "%s%s: %zu submissions of %.3g ms in all, %zu of them parts of a dispatch, the longest %.3g ms, after %u "
           "measured replays (%u too long, %u too short)",
           on->what, when, pace->cuts, 1e3 * v.total, parts, 1e3 * v.longest, replays, v.longer, v.shorter);
}

static void test_imagined(struct tap *t, const struct imagined *on)
{
    struct sy_dispatch *d = calloc(COUNT, sizeof *d);
    struct sy_pace pace = {0};
    double now = 1e6;
    if (d == NULL)
        abort();
    for (size_t i = 0; i < COUNT; ++i) {
        d[i].flops = i % 50 == 0 ? 4e8 : 1e6 * (double)(1 + i * 37 % 11);
        d[i].groups = i % 100 == 0 ? 5000 : 1 + i % 9;
    }
    if (!sy_pace_create(&pace, d, COUNT, MOST, 5e11, 0.035))
        abort();
    const unsigned replays = settle(on, d, &pace, 1.0, on->first, &now);
    const bool few = replays >= 1 && replays <= 8;
    say(t, on, "", &pace, judge(d, &pace), few, replays);
    // It becomes hot: seen within some 10 seconds, without measuring all the time.
    const bool rests = !sy_pace_due(&pace, now + 9);
    now += 11;
    const unsigned more = settle(on, d, &pace, 12.0, 1.0, &now);
    say(t, on, ", 12 times slower", &pace, judge(d, &pace), rests && more >= 1 && more <= 3, more);
    now += 11;
    const unsigned last = settle(on, d, &pace, 1.0, 1.0, &now);
    say(t, on, ", as fast as before", &pace, judge(d, &pace), last >= 1 && last <= 3, last);
    sy_pace_destroy(&pace);
    free(d);
}

// ---- on devices ----------------------------------------------------------------------------------------------------

enum { N = 130, STEPS = 21, REPLAYS = 10 };

struct bench {
    struct sy_device *device;
    struct sy_kernel *kernel;
    struct sy_buffer *x, *factor, *y;
    struct sy_program *program;
};

static bool open_bench(struct bench *b, struct sy_ctx *ctx, const char *id, double flops)
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
                                    .flops = flops};
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

/// What the program leaves after a number of replays; `ms` as SY_SUBMIT_MS. `out_groups`: of its dispatches together.
static bool run(struct sy_ctx *ctx, const char *id, const char *ms, float y[N], size_t *out_submissions,
                size_t *out_groups)
{
    struct bench b;
    const float factor[4] = {0.37f};
    setenv("SY_SUBMIT_MS", ms, 1);
    bool good = open_bench(&b, ctx, id, 2 * N);
    unsetenv("SY_SUBMIT_MS");
    for (int i = 0; i < N; ++i)
        y[i] = 1.0f / (float)(i + 1);
    good = good && sy_buffer_write(b.x, 0, y, N * 4) == SY_OK && sy_buffer_write(b.factor, 0, factor, 16) == SY_OK;
    for (int i = 0; i < REPLAYS && good; ++i)
        good = sy_program_submit(b.program) == SY_OK;
    uint64_t ns[STEPS], total = 0;
    good = good && sy_buffer_read(b.y, 0, y, N * 4) == SY_OK && sy_program_profile(b.program, ns) == SY_OK;
    for (int i = 0; i < STEPS && good; ++i)
        total += ns[i];
    good = good && total > 0;
    *out_groups = good ? STEPS * ((N + sy_kernel_params(b.kernel)->wg - 1) / sy_kernel_params(b.kernel)->wg) : 0;
    *out_submissions = good ? sy_program_submissions(b.program) : 0;
    close_bench(&b);
    return good;
}

/// Seconds a dispatch, by prediction: only a CPU takes them whole.
static void test_default(struct tap *t, struct sy_ctx *ctx, const struct sy_caps *caps)
{
    struct bench b;
    const bool whole = caps->backend == SY_BACKEND_REF || caps->device_class == SY_CLASS_CPU;
    const bool good = open_bench(&b, ctx, caps->id, 1e12);
    const size_t submissions = good ? sy_program_submissions(b.program) : 0;
    tap_ok(t, good && (whole ? submissions == 1 : submissions >= STEPS), "%s: %d long dispatches in %zu submissions",
           caps->id, STEPS, submissions);
    close_bench(&b);
}

static void test_device(struct tap *t, struct sy_ctx *ctx, const struct sy_caps *caps)
{
    float whole[N], cut[N];
    size_t few = 0, many = 0, groups = 0;
    const bool ref = caps->backend == SY_BACKEND_REF;
    const bool good = run(ctx, caps->id, "1e6", whole, &few, &groups) &&
                      run(ctx, caps->id, "1e-6", cut, &many, &groups); // each group alone
    tap_ok(t, good && few <= 4 && many == (ref ? 1 : groups) && memcmp(whole, cut, sizeof whole) == 0,
           "%s: the same bits in %zu submissions as in %zu, of %d dispatches of %zu groups together", caps->id, many,
           few, STEPS, groups);
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
            test_device(&t, ctx, &list[i]), test_default(&t, ctx, &list[i]);
    setenv("SY_SUBMIT_MS", "soon", 1);
    const bool refused = ctx != NULL && sy_device_open(ctx, "ref:0", &device) == SY_INVALID;
    tap_ok(&t, refused && strstr(sy_error(ctx), "SY_SUBMIT_MS") != NULL, "%s", refused ? sy_error(ctx) : "accepted");
    free(list);
    sy_ctx_destroy(&ctx);
    return tap_done(&t);
}
