// SPDX-License-Identifier: Apache-2.0
// tune.c: choices are kept as text by device, driver and kernels; what is damaged, foreign or cannot be written is done
// without, in one line; measuring keeps its budget; a first use measures once, says so, and changes no weight.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/file.h"
#include "engine/tune.h"
#include "tests/io.h"
#include "tests/tiny.h"

struct heard {
    unsigned warnings, lines;
    char last[600];
};

static void listen(void *user, enum sy_log_level level, const char *text)
{
    struct heard *h = user;
    h->warnings += level <= SY_LOG_WARN;
    if (strstr(text, "compiling") == NULL) // how far a slow machine is
        snprintf(h->last, sizeof h->last, "%s", text);
    h->lines += strstr(text, "tuned") != NULL;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static struct sy_choice product(uint32_t n, uint32_t choice)
{
    const struct sy_matmul_args args = {
        .m = n, .n = n, .k = n, .experts = 1, .bt = 1, .alpha = 0.37f, .tile_rows = 64, .tiles = (n + 63) / 64};
    struct sy_choice c = {.work = {.variant = sy_variant_find(SY_OP_matmul, "base"), .types = SY_TYPES_F},
                          .choice = choice,
                          .count = 1,
                          .before = 1e-3,
                          .after = 5e-4};
    memcpy(c.work.args, &args, sizeof args);
    return c;
}

static uint32_t found(struct sy_device *device, uint32_t n)
{
    const struct sy_choice c = product(n, 0);
    return sy_choices_find(sy_device_choices(device), &c.work);
}

// ---- the file ------------------------------------------------------------------------------------------------------

static void check_key(struct tiny *t, struct sy_device *device)
{
    struct sy_caps caps = *sy_device_caps(device);
    char path[4][SY_CACHE_PATH_ROOM];
    bool good = sy_tune_path(&caps, path[0]);
    caps.id[strlen(caps.id) - 1] = '7';
    good = good && sy_tune_path(&caps, path[1]);
    strcat(caps.driver, ".1");
    good = good && sy_tune_path(&caps, path[2]);
    strcat(caps.name, " Ti");
    good = good && sy_tune_path(&caps, path[3]);
    tap_ok(&t->tap,
           good && strcmp(path[0], path[1]) == 0 && strcmp(path[1], path[2]) != 0 && strcmp(path[2], path[3]) != 0,
           "one file for each device and driver, whatever its number: %s", path[0]);
    caps.backend = SY_BACKEND_VULKAN; // whose kernels are shaders, another text
    tap_ok(&t->tap, sy_tune_path(&caps, path[0]) && strcmp(path[0], path[3]) != 0, "and for each text of kernels");
    setenv("SY_NO_CACHE", "1", 1);
    tap_ok(&t->tap, !sy_tune_path(&caps, path[0]), "SY_NO_CACHE: none");
    unsetenv("SY_NO_CACHE");
}

static void check_kept(struct tiny *t, struct sy_device *device)
{
    const struct sy_choice small = product(32, 1), large = product(100, 3);
    char why[256];
    bool good = sy_tune_open(device) == SY_OK && sy_device_choices(device)->count == 0 &&
                sy_choices_put(t->ctx, sy_device_choices(device), &small) == SY_OK && sy_tune_keep(device, why);
    good = good && sy_tune_open(device) == SY_OK && found(device, 32) == 1 && found(device, 100) == 0;
    // Another process, which began when there was no file.
    sy_device_set_choices(device, calloc(1, sizeof(struct sy_choices)), sy_choices_destroy);
    good = good && sy_choices_put(t->ctx, sy_device_choices(device), &large) == SY_OK && sy_tune_keep(device, why);
    good = good && sy_tune_open(device) == SY_OK && found(device, 32) == 1 && found(device, 100) == 3;
    tap_ok(&t->tap, good, "what one process has measured, and another, is read by the next");
    tap_ok(&t->tap,
           found(device, 33) == 1 && found(device, 120) == 3 && found(device, 50) == 0 && found(device, 300) == 0,
           "it counts for work that costs half to twice as much, the nearest first");
}

/// Replaces the file by `text`, opens it, and looks whether it was left out in one line.
static void check_damaged(struct tiny *t, const char *id, const char *path, const char *text, size_t bytes,
                          const char *what)
{
    struct heard h = {0};
    struct sy_ctx *ctx = sy_ctx_create(listen, &h, SY_LOG_WARN);
    struct sy_device *device = NULL;
    bool good = sy_file_write(t->ctx, path, text, bytes) == SY_OK && sy_device_open(ctx, id, &device) == SY_OK &&
                sy_tune_open(device) == SY_OK;
    tap_ok(&t->tap, good && h.warnings == 1 && strstr(h.last, path) != NULL && sy_device_choices(device)->count == 0,
           "%s: left out, in one line: %s", what, h.last);
    sy_device_close(&device);
    sy_ctx_destroy(&ctx);
}

static void check_files(struct tiny *t, struct sy_device *device)
{
    const struct sy_caps *caps = sy_device_caps(device);
    char path[SY_CACHE_PATH_ROOM], why[256] = "", *text = NULL;
    size_t bytes = 0;
    if (!sy_tune_path(caps, path) || !tiny_try(t, sy_file_read(t->ctx, path, 1 << 20, &text, &bytes), path, device))
        return;
    char *changed = malloc(bytes + 16);
    const struct {
        const char *from, *to, *what;
    } rows[] = {{"\nend\n", "\n", "a file without its end"},
                {"wg 32", "wg 33", "a choice that is not"},
                {"matmul:base f32", "matmul:base f16", "a type that is not"},
                {"32,32,32,1,", "32,32,32,", "too few arguments"},
                {"driver ", "driver x", "of another driver"},
                {"choices 1", "choices 2", "of another version"},
                {"file tune-", "file tune-x", "of another name"}};
    for (size_t i = 0; i < SY_COUNT(rows) && changed != NULL; ++i) {
        const char *at = strstr(text, rows[i].from);
        if (!tap_ok(&t->tap, at != NULL, "the file can be changed: %s", rows[i].what))
            continue;
        snprintf(changed, bytes + 16, "%.*s%s%s", (int)(at - text), text, rows[i].to, at + strlen(rows[i].from));
        check_damaged(t, caps->id, path, changed, strlen(changed), rows[i].what);
    }
    check_damaged(t, caps->id, path, "\0\1\2", 3, "bytes");
    check_damaged(t, caps->id, path, text, bytes / 2, "a half");
    const struct sy_choice c = product(32, 1);
    tap_ok(&t->tap,
           sy_tune_open(device) == SY_OK && sy_choices_put(t->ctx, sy_device_choices(device), &c) == SY_OK &&
               sy_tune_keep(device, why) && sy_tune_open(device) == SY_OK && found(device, 32) == 1,
           "a damaged file is replaced by the next that is kept");
    bool was = false, is = true;
    tap_ok(&t->tap,
           sy_tune_forget(t->ctx, caps, &was) == SY_OK && was && sy_tune_forget(t->ctx, caps, &is) == SY_OK && !is &&
               !sy_file_exists(path),
           "forgotten");
    free(changed);
    free(text);
}

/// Where nothing can be written choices hold for the process.
static void check_no_room(struct tiny *t, struct sy_device *device, const char *folder)
{
    char path[SY_PATH_ROOM], why[256] = "";
    snprintf(path, sizeof path, "%.3000s/file/cache", folder); // below a file nobody makes a folder, root included
    char *file = sy_path_join(folder, "file");
    const struct sy_choice c = product(32, 1);
    const char *before = getenv("SY_CACHE_DIR");
    char *kept = before != NULL ? strdup(before) : NULL;
    bool good = file != NULL && sy_file_write(t->ctx, file, "x", 1) == SY_OK;
    setenv("SY_CACHE_DIR", path, 1);
    good = good && sy_tune_open(device) == SY_OK && sy_choices_put(t->ctx, sy_device_choices(device), &c) == SY_OK;
    tap_ok(&t->tap, good && !sy_tune_keep(device, why) && why[0] != '\0' && found(device, 32) == 1,
           "a folder that cannot be written: known to this process only (%s)", why);
    setenv("SY_CACHE_DIR", kept != NULL ? kept : "", 1);
    free(kept);
    free(file);
}

// ---- measuring -----------------------------------------------------------------------------------------------------

static void check_budget(struct tiny *t, struct sy_device *device)
{
    struct sy_choice works[40];
    for (uint32_t i = 0; i < SY_COUNT(works); ++i) {
        works[i] = product(16 + i, 0);
        works[i].before = works[i].after = 0.0;
    }
    const double from = seconds();
    bool good = sy_tune_open(device) == SY_OK && sy_tune_weigh(device, works, 40, 0.1) == SY_OK;
    good = good && tiny_try(t, sy_tune_measure(device, works, 1, 0.1), "measuring", device); // compiles
    tap_ok(&t->tap, good && works[0].before > 0.0 && works[0].after > 0.0 && works[0].after <= works[0].before,
           "%s: a product takes %.1f us as usual, %.1f us as chosen", sy_device_caps(device)->id, 1e6 * works[0].before,
           1e6 * works[0].after);
    const double began = seconds();
    good = tiny_try(t, sy_tune_measure(device, works, 40, 0.3), "measuring", device);
    size_t measured = 0;
    for (size_t i = 0; i < 40; ++i)
        measured += works[i].before > 0.0;
    tap_ok(&t->tap, good && measured > 0 && measured == sy_device_choices(device)->count,
           "%s: %zu of 40 products in %.2f s (0.3 s were given; %.2f s before, to compile)", sy_device_caps(device)->id,
           measured, seconds() - began, began - from);
    tap_ok(&t->tap, measured < 40 || seconds() - began < 0.6, "%s: the budget ends it", sy_device_caps(device)->id);
}

/// The weights after one step of a session whose device may measure for `first` seconds before.
static float *train(struct tiny *t, const char *id, double first, struct heard *h, uint64_t *count)
{
    struct sy_ctx *ctx = sy_ctx_create(listen, h, SY_LOG_INFO), *own = t->ctx;
    struct sy_device *device = NULL;
    const struct sy_config config = tiny_config(true);
    const struct sy_session_params p = {.kind = SY_SESSION_TRAIN,
                                        .config = &config,
                                        .precision = SY_PRECISION_F32,
                                        .batch = 4,
                                        .src_len = 10,
                                        .tgt_len = 5,
                                        .optimizer = {.clip_norm = 1.0f}};
    struct sy_batch data;
    struct sy_metrics metrics;
    float *weights = NULL;
    t->ctx = ctx;
    tiny_batch(t, &config, 4, 10, 5, 40, &data);
    bool good = sy_device_open(ctx, id, &device) == SY_OK && tiny_try(t, sy_tune_open(device), "reading", device);
    if (good)
        sy_device_choices(device)->first_seconds = first;
    struct sy_session *s = good ? tiny_session(t, device, &p) : NULL;
    if (s != NULL && tiny_try(t, sy_session_step(s, &data, 1, 1, 0.02, 7, &metrics), "a step", device))
        (void)tiny_try(t, tiny_weights(s, &weights, count), "reading weights", device);
    sy_session_destroy(&s);
    sy_batch_finish(&data);
    sy_device_close(&device);
    t->ctx = own;
    sy_ctx_destroy(&ctx);
    return weights;
}

static void check_first_use(struct tiny *t, const char *id)
{
    struct heard usual = {0}, first = {0}, second = {0};
    uint64_t count[3] = {0};
    float *a = train(t, id, 0.0, &usual, &count[0]), *b = train(t, id, 60.0, &first, &count[1]),
          *c = train(t, id, 60.0, &second, &count[2]);
    const bool same = a != NULL && b != NULL && c != NULL && count[0] == count[1] && count[0] == count[2] &&
                      memcmp(a, b, count[0] * sizeof *a) == 0 && memcmp(a, c, count[0] * sizeof *a) == 0;
    tap_ok(&t->tap, usual.lines == 0 && first.lines == 1 && second.lines == 0,
           "%s: a first session measures, and says so once: %s", id, first.last);
    tap_ok(&t->tap, same, "%s: the same weights without it, after it, and with what it kept", id);
    free(a);
    free(b);
    free(c);
}

int main(int argc, char **argv)
{
    struct tiny t;
    char folder[512];
    tiny_open(&t, "tune", argc, argv);
    if (!io_directory(folder, sizeof folder) || t.device_count == 0)
        return 1;
    setenv("SY_CACHE_DIR", folder, 1); // kernels are then compiled anew: few
    check_key(&t, t.devices[0]);
    check_kept(&t, t.devices[0]);
    check_files(&t, t.devices[0]);
    check_no_room(&t, t.devices[0], folder);
    bool any = false;
    for (size_t d = 0; d < t.device_count && !any; ++d) {
        any = sy_device_caps(t.devices[d])->device_class == SY_CLASS_SIMT;
        if (any)
            check_budget(&t, t.devices[d]);
        if (any)
            check_first_use(&t, sy_device_caps(t.devices[d])->id);
    }
    if (!any)
        tap_skip(&t.tap, "measuring: no device that has a choice");
    (void)tiny_try(&t, sy_dir_remove(t.ctx, folder), "removing the test's folder", t.devices[0]);
    return tiny_close(&t);
}
