// SPDX-License-Identifier: Apache-2.0
// hostlib.c: tests of hostlib alone, on every device of this machine: names, limits, buffers, the validator, replay,
// profiles, errors, and the cache. Prints TAP; the exit code is 1 when a check failed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hostlib/cache.h"
#include "hostlib/quirk.h"
#include "tests/axpb.h"

struct test {
    unsigned done, failed, skipped;
    unsigned warnings; ///< Counted by the log function.
    char last_warning[1024];
    struct sy_ctx *ctx;
};

SY_PRINTF(3, 4) static void check(struct test *t, bool good, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("%s %u - ", good ? "ok" : "not ok", ++t->done);
    vprintf(format, args);
    va_end(args);
    if (!good) {
        ++t->failed;
        printf("\n# last message: %s", sy_error(t->ctx));
    }
    printf("\n");
}

static void skip(struct test *t, const char *what, const char *why)
{
    ++t->skipped;
    printf("ok %u - %s # SKIP %s\n", ++t->done, what, why);
}

static void log_message(void *user, enum sy_log_level level, const char *text)
{
    struct test *t = user;
    if (level != SY_LOG_WARN)
        return;
    ++t->warnings;
    snprintf(t->last_warning, sizeof t->last_warning, "%s", text);
}

// The call must fail with `code`, and its message must contain `word`.
static void check_fails(struct test *t, enum sy_status got, enum sy_status code, const char *word, const char *what)
{
    const bool good = got == code && strstr(sy_error(t->ctx), word) != NULL;
    check(t, good, "%s: %s, saying \"%s\"", what, sy_status_name(code), word);
    if (!good)
        printf("# got: %s\n", sy_status_name(got));
}

// ---- names and choice ------------------------------------------------------------------------------------------

static void test_names(struct test *t)
{
    struct sy_device *device = NULL;
    const char *const bad[] = {
        "", "ref", "ref:", ":0", "ref:1", "ref:0x", "ref:-1", "cuda:0", "ref:99999999999999999999"};
    for (size_t i = 0; i < SY_COUNT(bad); ++i)
        check_fails(t, sy_device_open(t->ctx, bad[i], &device), SY_INVALID, "ref:0",
                    bad[i][0] != '\0' ? bad[i] : "(empty)");
    check_fails(t, sy_device_open(t->ctx, NULL, &device), SY_INVALID, "auto", "NULL");
    check(t, device == NULL, "a failed open leaves the output alone");
    const enum sy_status status = sy_device_open(t->ctx, "auto", &device);
    check(t, status == SY_OK, "auto opens %s", status == SY_OK ? sy_device_caps(device)->id : "nothing");
    sy_device_close(&device);
    check(t, device == NULL, "closing clears the pointer");
}

static void test_forced_limits(struct test *t)
{
    struct sy_device *device = NULL;
    setenv("SY_FORCE_MAX_ALLOC", "64K", 1);
    setenv("SY_FORCE_SHARED", "1024", 1);
    setenv("SY_FORCE_MAX_WG", "9999999", 1);
    setenv("SY_FORCE_OFFSET_ALIGN", "1024", 1);
    if (sy_device_open(t->ctx, "ref:0", &device) == SY_OK) {
        const struct sy_caps *caps = sy_device_caps(device);
        check(t, caps->max_alloc_bytes == 65536 && caps->max_binding_bytes == 65536, "SY_FORCE_MAX_ALLOC=64K lowers");
        check(t, caps->shared_bytes == 1024, "SY_FORCE_SHARED lowers");
        check(t, caps->max_wg == 1024, "SY_FORCE_MAX_WG does not raise");
        check(t, caps->offset_align == 1024, "SY_FORCE_OFFSET_ALIGN is stricter");
        struct sy_buffer *buffer = NULL;
        check_fails(t, sy_buffer_create(device, "large", 65540, &buffer), SY_INVALID, "'large'",
                    "a buffer above the limit");
    } else {
        check(t, false, "ref:0 opens with small limits");
    }
    sy_device_close(&device);
    setenv("SY_FORCE_SHARED", "12 apples", 1);
    check_fails(t, sy_device_open(t->ctx, "ref:0", &device), SY_INVALID, "SY_FORCE_SHARED",
                "a limit that is no number");
    setenv("SY_FORCE_SHARED", "1024", 1);
    setenv("SY_DISABLE", "fp16,warp", 1);
    check_fails(t, sy_device_open(t->ctx, "ref:0", &device), SY_INVALID, "\"warp\"",
                "an unknown feature in SY_DISABLE");
    const char *const names[] = {"SY_FORCE_MAX_ALLOC", "SY_FORCE_SHARED", "SY_FORCE_MAX_WG", "SY_FORCE_OFFSET_ALIGN",
                                 "SY_DISABLE"};
    for (size_t i = 0; i < SY_COUNT(names); ++i)
        unsetenv(names[i]);
}

// ---- the cache -------------------------------------------------------------------------------------------------

static void damage(const char *dir, const char *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *f = fopen(path, "r+b");
    if (f == NULL)
        return;
    fseek(f, -1, SEEK_END);
    fputc('!', f);
    fclose(f);
}

static void test_cache_in(struct test *t, const char *dir)
{
    const struct sy_cache_part ab[] = {{"a", 1}, {"b", 1}}, shifted[] = {{"ab", 2}, {"", 0}};
    uint8_t key[SY_CACHE_KEY_BYTES], other[SY_CACHE_KEY_BYTES];
    char hex[SY_CACHE_HEX_BYTES], file[64], path[4096];
    sy_cache_key(key, ab, 2);
    sy_cache_key(other, shifted, 2);
    check(t, memcmp(key, other, sizeof key) != 0, "cache: keys tell parts apart");
    sy_cache_hex(hex, key);
    snprintf(file, sizeof file, "test-%s", hex);
    snprintf(path, sizeof path, "%s/%s", dir, file);

    void *data = NULL;
    size_t bytes = 0;
    check(t, !sy_cache_load(t->ctx, "test", key, &data, &bytes) && data == NULL, "cache: an empty folder is a miss");
    sy_cache_store(t->ctx, "test", key, "payload", 7);
    check(t, sy_cache_load(t->ctx, "test", key, &data, &bytes) && bytes == 7 && memcmp(data, "payload", 7) == 0,
          "cache: what was stored is found");
    free(data);
    check(t, !sy_cache_load(t->ctx, "kind2", key, &data, &bytes), "cache: kinds are apart");
    setenv("SY_NO_CACHE", "1", 1);
    check(t, !sy_cache_load(t->ctx, "test", key, &data, &bytes), "cache: SY_NO_CACHE=1 switches it off");
    unsetenv("SY_NO_CACHE");
    damage(dir, file);
    check(t, !sy_cache_load(t->ctx, "test", key, &data, &bytes), "cache: a damaged file is a miss");
    check(t, access(path, F_OK) != 0, "cache: a damaged file is deleted");
    sy_cache_store(t->ctx, "test", key, "payload", 7);
    check(t, truncate(path, 20) == 0 && !sy_cache_load(t->ctx, "test", key, &data, &bytes),
          "cache: a cut file is a miss");
    unlink(path);
}

static void test_cache(struct test *t)
{
    char dir[] = P_tmpdir "/switchyard-test.XXXXXX", inner[sizeof dir + 16], blocked[sizeof dir + 64];
    const char *set = getenv("SY_CACHE_DIR");
    char *before = set != NULL ? strdup(set) : NULL;
    if (mkdtemp(dir) == NULL) {
        skip(t, "cache", "no folder for temporary files");
        free(before);
        return;
    }
    snprintf(inner, sizeof inner, "%s/cache", dir);
    setenv("SY_CACHE_DIR", inner, 1);
    test_cache_in(t, inner);

    // A file where the folder should be: nothing can be written below it, whoever runs this.
    snprintf(blocked, sizeof blocked, "%s/file", inner);
    FILE *f = fopen(blocked, "w");
    if (f != NULL)
        fclose(f);
    setenv("SY_CACHE_DIR", blocked, 1);
    const uint8_t key[SY_CACHE_KEY_BYTES] = {1};
    void *data = NULL;
    size_t bytes = 0;
    sy_cache_store(t->ctx, "test", key, "payload", 7);
    check(t, !sy_cache_load(t->ctx, "test", key, &data, &bytes), "cache: an unwritable folder only means misses");
    unlink(blocked);
    rmdir(inner);
    rmdir(dir);
    if (before != NULL)
        setenv("SY_CACHE_DIR", before, 1);
    else
        unsetenv("SY_CACHE_DIR");
    free(before);
}

// ---- one device ------------------------------------------------------------------------------------------------

static void test_caps(struct test *t, const struct sy_caps *c)
{
    check(t, c->name[0] != '\0' && c->driver[0] != '\0' && c->api[0] != '\0', "%s: %s, %s, %s", c->id, c->name,
          c->driver, c->api);
    check(t,
          c->max_alloc_bytes > 0 && c->max_alloc_bytes <= c->memory_bytes && c->max_binding_bytes <= c->max_alloc_bytes,
          "%s: binding <= allocation <= memory", c->id);
    check(t, c->offset_align >= 4 && (c->offset_align & (c->offset_align - 1)) == 0, "%s: alignment %u", c->id,
          c->offset_align);
    check(t, c->max_wg > 0 && c->max_groups[0] > 0 && c->max_args_bytes >= SY_MAX_ARGS_BYTES, "%s: launch limits",
          c->id);
}

static void test_buffers(struct test *t, struct sy_device *device)
{
    const char *id = sy_device_caps(device)->id;
    struct sy_buffer *buffer = NULL, *large = NULL;
    enum { LARGE = 300001 }; // beyond any staging area for small writes, and odd
    unsigned char *sent = malloc(LARGE), *got = malloc(LARGE), *want = malloc(LARGE);
    const bool made = sent != NULL && got != NULL && want != NULL &&
                      sy_buffer_create(device, "small", 13, &buffer) == SY_OK &&
                      sy_buffer_create(device, "large", LARGE, &large) == SY_OK;
    check(t, made, "%s: two buffers", id);
    if (!made)
        goto out;
    const uint64_t total = sy_device_allocated_bytes(device);
    check(t, sy_buffer_bytes(buffer) == 16 && total == 16 + 300004, "%s: sizes are rounded up to 4 and counted", id);
    memset(got, 0xff, 16);
    check(t, sy_buffer_read(buffer, 0, got, 16) == SY_OK && memcmp(got, (char[16]){0}, 16) == 0,
          "%s: a new buffer is zero", id);

    for (int i = 0; i < LARGE; ++i)
        sent[i] = want[i] = (unsigned char)(i * 7 + i / 251 + 1);
    check(t,
          sy_buffer_write(large, 0, sent, LARGE) == SY_OK && sy_buffer_read(large, 0, got, LARGE) == SY_OK &&
              memcmp(sent, got, LARGE) == 0,
          "%s: a large write comes back", id);
    bool good = true;
    for (int round = 0; round < 250 && good; ++round) { // fills any staging area several times
        good = sy_buffer_write(large, (uint64_t)round * 997, sent + round, 2000) == SY_OK;
        memcpy(want + round * 997, sent + round, 2000);
    }
    good = good && sy_buffer_read(large, 0, got, LARGE) == SY_OK && memcmp(want, got, LARGE) == 0;
    check(t, good, "%s: 250 small writes land in order", id);
    memset(want + 8, 0, 4096);
    good = sy_buffer_zero(large, 8, 4096) == SY_OK && sy_buffer_read(large, 3, got, 5001) == SY_OK;
    check(t, good && memcmp(want + 3, got, 5001) == 0, "%s: a range is zeroed, its neighbours are not", id);

    check_fails(t, sy_buffer_write(buffer, 8, sent, 12), SY_INVALID, "'small'", "a write beyond the end");
    check_fails(t, sy_buffer_read(buffer, UINT64_MAX, got, 2), SY_INVALID, "'small'", "a read at a wrapping offset");
    check_fails(t, sy_buffer_read(buffer, 0, NULL, 4), SY_INVALID, "NULL", "a read to nowhere");
    check_fails(t, sy_buffer_zero(buffer, 2, 4), SY_INVALID, "multiples of 4", "an unaligned zero");
    check(t, sy_buffer_write(buffer, 16, sent, 0) == SY_OK, "%s: nothing at the very end is allowed", id);
    struct sy_buffer *none = NULL;
    check_fails(t, sy_buffer_create(device, "none", 0, &none), SY_INVALID, "'none'", "an empty buffer");
    check_fails(t, sy_buffer_create(device, NULL, 4, &none), SY_INVALID, "name", "a nameless buffer");
    check(t, none == NULL, "%s: failed creations leave the output alone", id);
out:
    sy_buffer_destroy(&buffer);
    sy_buffer_destroy(&large);
    check(t, sy_device_allocated_bytes(device) == 0, "%s: destroyed buffers are no longer counted", id);
    free(sent);
    free(got);
    free(want);
}

static void test_kernel_errors(struct test *t, struct sy_device *device)
{
    const struct sy_caps *caps = sy_device_caps(device);
    const struct sy_kernel_params good = axpb_params(caps);
    struct sy_kernel *kernel = NULL;
    struct sy_kernel_params p = good;
    p.binding_count = SY_MAX_BINDINGS + 1;
    check_fails(t, sy_kernel_create(device, &p, &kernel), SY_INVALID, "axpb", "too many bindings");
    p = good;
    p.args_bytes = 6;
    check_fails(t, sy_kernel_create(device, &p, &kernel), SY_INVALID, "multiple of 4", "odd arguments");
    p = good;
    p.const_binding = 3;
    check_fails(t, sy_kernel_create(device, &p, &kernel), SY_INVALID, "const_binding", "constants that are no binding");
    p = good;
    p.wg = caps->max_wg + 1;
    check_fails(t, sy_kernel_create(device, &p, &kernel), SY_UNSUPPORTED, "work-group size", "too large a work-group");
    p = good;
    p.source = (struct sy_kernel_source){.name = "axpb"};
    check_fails(t, sy_kernel_create(device, &p, &kernel), SY_UNSUPPORTED, "source", "a kernel without source");
    if (caps->backend == SY_BACKEND_OPENCL) {
        p = good;
        p.source.cl_text = "__kernel void axpb(__global float *x) { this is no C }";
        check_fails(t, sy_kernel_create(device, &p, &kernel), SY_DEVICE, "axpb does not compile",
                    "text that does not compile");
        p.source.cl_text = "__kernel void axpb(__global float *x) { x[0] = 1; }";
        check_fails(t, sy_kernel_create(device, &p, &kernel), SY_INVALID, "parameters", "text with other parameters");
    }
    check(t, kernel == NULL, "%s: failed kernels leave the output alone", caps->id);
}

// What is written to standard error while this process compiles: its text, up to the room there is.
struct caught {
    int file, saved;
    char text[512];
};

static bool catch_stderr(struct caught *c)
{
    char path[] = P_tmpdir "/switchyard-stderr.XXXXXX";
    fflush(stderr);
    c->saved = dup(STDERR_FILENO);
    c->file = mkstemp(path);
    unlink(path);
    return c->saved >= 0 && c->file >= 0 && dup2(c->file, STDERR_FILENO) >= 0;
}

static void release_stderr(struct caught *c)
{
    fflush(stderr);
    dup2(c->saved, STDERR_FILENO);
    const ssize_t n = pread(c->file, c->text, sizeof c->text - 1, 0);
    c->text[n > 0 ? n : 0] = '\0';
    close(c->saved);
    close(c->file);
}

// Drivers may write a compiler's warnings where they like; not to our standard error. What a compiler says of a text
// that it refuses is in the message.
static void test_chatter(struct test *t, struct sy_device *device)
{
    const struct sy_caps *caps = sy_device_caps(device);
    static const char unused[] = "#warning chatter\nstatic int never_called(int x) { int unused; }\n";
    char warned[sizeof unused + sizeof axpb_cl];
    struct sy_kernel_params p = axpb_params(caps);
    struct sy_kernel *kernel = NULL;
    struct caught c;
    snprintf(warned, sizeof warned, "%s%s", unused, axpb_cl);
    p.source.cl_text = warned;
    if (!catch_stderr(&c)) {
        check(t, false, "%s: standard error cannot be caught", caps->id);
        return;
    }
    const enum sy_status status = sy_kernel_create(device, &p, &kernel);
    release_stderr(&c);
    check(t, status == SY_OK && c.text[0] == '\0', "%s: a kernel with warnings compiles without a word: '%s'", caps->id,
          c.text);
    sy_kernel_destroy(&kernel);
    if (caps->backend != SY_BACKEND_OPENCL)
        return;
    p.source.cl_text = "__kernel void axpb(__global float *x) { x[0] = no_such_name; }";
    check_fails(t, sy_kernel_create(device, &p, &kernel), SY_DEVICE, "no_such_name", "the compiler's words");
}

// Many kernels at once: each is the one it was asked for, and one that fails takes none along.
static void test_many_kernels(struct test *t, struct sy_device *device)
{
    enum { MANY = 12 };
    const struct sy_caps *caps = sy_device_caps(device);
    struct sy_kernel_params params[MANY];
    struct sy_kernel *kernels[MANY] = {NULL};
    char defines[MANY][16];
    for (size_t i = 0; i < MANY; ++i) {
        params[i] = axpb_params(caps);
        snprintf(defines[i], sizeof defines[i], "-DNR=%zu", i);
        params[i].cl_defines = defines[i];
    }
    bool good = sy_kernels_create(device, params, MANY, kernels) == SY_OK;
    for (size_t i = 0; i < MANY && good; ++i)
        good = strcmp(sy_kernel_params(kernels[i])->cl_defines, defines[i]) == 0;
    check(t, good, "%s: %d kernels compiled at once, in their places", caps->id, MANY);
    for (size_t i = 0; i < MANY; ++i)
        sy_kernel_destroy(&kernels[i]);
    params[MANY / 2].source = (struct sy_kernel_source){.name = "axpb"};
    check_fails(t, sy_kernels_create(device, params, MANY, kernels), SY_UNSUPPORTED, "source", "one without source");
    if (caps->backend == SY_BACKEND_OPENCL) {
        params[MANY / 2].source.cl_text = "__kernel void axpb(__global float *x) { x[0] = no_such_name; }";
        check_fails(t, sy_kernels_create(device, params, MANY, kernels), SY_DEVICE, "no_such_name", "one of many");
    }
    good = true;
    for (size_t i = 0; i < MANY; ++i)
        good = good && kernels[i] == NULL;
    check(t, good, "%s: a failure among many leaves the output alone", caps->id);
}

static void log_ahead(void *user, enum sy_log_level level, const char *text)
{
    if (level == SY_LOG_DEBUG && strstr(text, "were compiled by") != NULL)
        snprintf(user, 64, "%s", text);
}

// Compiled by other processes where that is of use: all of them, once, and they compute what they did.
static void test_ahead(struct test *t, const char *id, const char *switched_off, unsigned seed, const char *said)
{
    enum { FEW = 3 };
    char told[64] = "", defines[FEW][32];
    struct sy_kernel_params params[FEW];
    struct sy_kernel *kernels[FEW] = {NULL};
    struct sy_device *device = NULL;
    struct sy_ctx *ctx = sy_ctx_create(log_ahead, told, SY_LOG_DEBUG);
    setenv("SY_COMPILE_ALONE", switched_off, 1);
    bool good = ctx != NULL && sy_device_open(ctx, id, &device) == SY_OK;
    for (unsigned i = 0; i < FEW && good; ++i) {
        params[i] = axpb_params(sy_device_caps(device));
        snprintf(defines[i], sizeof defines[i], "-DNR=%u", seed + i);
        params[i].cl_defines = defines[i];
    }
    good = good && sy_kernels_create(device, params, FEW, kernels) == SY_OK;
    check(t, good && strncmp(told, said, strlen(said)) == 0 && (*said != '\0' || *told == '\0'),
          "%s: SY_COMPILE_ALONE=%s, kernels compiled by others: \"%s\"", id, switched_off, told);
    for (unsigned i = 0; i < FEW; ++i)
        sy_kernel_destroy(&kernels[i]);
    sy_device_close(&device);
    sy_ctx_destroy(&ctx);
    unsetenv("SY_COMPILE_ALONE");
}

static void test_compiled_ahead(struct test *t, const struct sy_caps *caps)
{
    const bool pocl = sy_has_quirk(caps, SY_QUIRK_OWN_CACHE);
    const unsigned seed = (unsigned)time(NULL) * 8u; // kernels that no cache has
    if (!SY_HAVE_COMPILE && pocl) {
        skip(t, "kernels compiled by other processes", "switchyard-compile is not built here");
        return;
    }
    test_ahead(t, caps->id, "1", seed, "");
    test_ahead(t, caps->id, "0", seed + 4u, pocl ? "3 of 3 kernels" : "");
    test_ahead(t, caps->id, "0", seed + 4u, ""); // they are there
}

/// What the tests of programs share.
struct bench {
    struct sy_device *device;
    struct sy_kernel *kernel;
    struct sy_buffer *x, *factor, *y;
    uint64_t align;
};

enum { N = 1000 };

static bool open_bench(struct bench *b, struct sy_device *device)
{
    const struct sy_kernel_params params = axpb_params(sy_device_caps(device));
    *b = (struct bench){.device = device, .align = sy_device_caps(device)->offset_align};
    return sy_kernel_create(device, &params, &b->kernel) == SY_OK &&
           sy_buffer_create(device, "x", b->align + N * 4, &b->x) == SY_OK &&
           sy_buffer_create(device, "factor", 16, &b->factor) == SY_OK &&
           sy_buffer_create(device, "y", 2 * b->align + N * 4, &b->y) == SY_OK;
}

static void close_bench(struct bench *b)
{
    sy_kernel_destroy(&b->kernel);
    sy_buffer_destroy(&b->x);
    sy_buffer_destroy(&b->factor);
    sy_buffer_destroy(&b->y);
}

static struct sy_dispatch make_dispatch(const struct bench *b, float add)
{
    const struct axpb_args args = {.n = N, .add = add};
    struct sy_dispatch d = {
        .kernel = b->kernel,
        .bindings = {{b->x, b->align, N * 4}, {b->factor, 0, 16}, {b->y, b->align, N * 4}},
        .write_mask = 4,
        .groups = (N + sy_kernel_params(b->kernel)->wg - 1) / sy_kernel_params(b->kernel)->wg,
        .label = "step",
        .flops = 2 * N,
    };
    memcpy(d.args, &args, sizeof args);
    return d;
}

static void test_dispatch_errors(struct test *t, const struct bench *b)
{
    const struct sy_dispatch good = make_dispatch(b, 1);
    struct sy_program *program = NULL;
    struct sy_dispatch d[2] = {good, good};
#define FAILS(word, what) check_fails(t, sy_program_create(b->device, "p", d, 2, &program), SY_INVALID, word, what)
    d[1].bindings[2].offset_bytes = 4;
    FAILS("binding 2 ('y')", "an unaligned binding");
    d[1] = good;
    d[1].bindings[0].bytes += 4;
    FAILS("dispatch 1 'step'", "a binding beyond its buffer");
    d[1] = good;
    d[1].bindings[0].bytes = 0;
    FAILS("binding 0", "an empty binding");
    d[1] = good;
    d[1].bindings[1].buffer = NULL;
    FAILS("binding 1", "a missing buffer");
    d[1] = good;
    d[1].groups = 0;
    FAILS("0 work-groups", "no work-groups");
    d[1].groups = UINT64_C(1) << 33;
    FAILS("work-groups", "too many work-groups");
    d[1] = good;
    d[1].write_mask = 8;
    FAILS("write mask", "a written binding that is not there");
    d[1].write_mask = 2;
    FAILS("constants", "written constants");
    d[1] = good;
    d[1].kernel = NULL;
    FAILS("no kernel", "a missing kernel");
#undef FAILS
    check_fails(t, sy_program_create(b->device, "empty", d, 0, &program), SY_INVALID, "'empty'", "an empty program");
    check_fails(t, sy_program_create(b->device, NULL, d, 1, &program), SY_INVALID, "name", "a nameless program");
    check(t, program == NULL, "%s: failed programs leave the output alone", sy_device_caps(b->device)->id);
}

static bool fill_inputs(const struct bench *b, float factor)
{
    float x[N];
    const float c[4] = {factor};
    for (int i = 0; i < N; ++i)
        x[i] = (float)(i % 17);
    return sy_buffer_write(b->x, b->align, x, sizeof x) == SY_OK && sy_buffer_write(b->factor, 0, c, sizeof c) == SY_OK;
}

// y and the untouched bytes around it. All numbers are small whole ones, so every device must be exact.
static bool check_output(const struct bench *b, int dispatches, float factor, float first_add)
{
    float y[N], edge[2] = {1, 1};
    if (sy_buffer_read(b->y, b->align, y, sizeof y) != SY_OK ||
        sy_buffer_read(b->y, b->align - 4, &edge[0], 4) != SY_OK ||
        sy_buffer_read(b->y, b->align + N * 4, &edge[1], 4) != SY_OK || edge[0] != 0 || edge[1] != 0)
        return false;
    for (int i = 0; i < N; ++i) {
        float want = 0;
        for (int k = 0; k < dispatches; ++k)
            want = want * factor + (float)(i % 17) + first_add + (float)(k % 3);
        if (want != y[i]) {
            printf("# element %d: %g, expected %g\n", i, (double)y[i], (double)want);
            return false;
        }
    }
    return true;
}

static void test_replay(struct test *t, const struct bench *b)
{
    const char *id = sy_device_caps(b->device)->id;
    const struct sy_dispatch d[3] = {make_dispatch(b, 1), make_dispatch(b, 2), make_dispatch(b, 3)};
    struct sy_program *program = NULL;
    uint64_t ns[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    if (!fill_inputs(b, 2) || sy_program_create(b->device, "p", d, 3, &program) != SY_OK) {
        check(t, false, "%s: a program is recorded", id);
        return;
    }
    check(t, sy_program_submit(program) == SY_OK && check_output(b, 3, 2, 1), "%s: dispatches see earlier ones", id);
    check(t, sy_program_submit(program) == SY_OK && check_output(b, 6, 2, 1), "%s: a program can be replayed", id);
    check(t,
          sy_buffer_zero(b->y, 0, sy_buffer_bytes(b->y)) == SY_OK && fill_inputs(b, 1) &&
              sy_program_submit(program) == SY_OK && sy_device_wait(b->device) == SY_OK && check_output(b, 3, 1, 1),
          "%s: writes between replays are ordered", id);
    const enum sy_status status = sy_program_profile(program, ns);
    check(t, status == SY_OK && ns[2] != UINT64_MAX && check_output(b, 6, 1, 1), "%s: a profile runs the program once",
          id);
    sy_program_destroy(&program);
}

// Many submissions in flight at once, of a program longer than any batch.
static void test_long_program(struct test *t, const struct bench *b)
{
    enum { COUNT = 201 };
    struct sy_dispatch *d = malloc(COUNT * sizeof *d);
    struct sy_program *program = NULL;
    bool good = d != NULL && fill_inputs(b, 1) && sy_buffer_zero(b->y, 0, sy_buffer_bytes(b->y)) == SY_OK;
    for (int i = 0; i < COUNT && d != NULL; ++i)
        d[i] = make_dispatch(b, (float)(1 + i % 3));
    good = good && sy_program_create(b->device, "long", d, COUNT, &program) == SY_OK;
    for (int i = 0; i < 5 && good; ++i)
        good = sy_program_submit(program) == SY_OK;
    uint64_t ns[COUNT];
    good = good && sy_program_profile(program, ns) == SY_OK && check_output(b, 6 * COUNT, 1, 1);
    check(t, good, "%s: 5 submissions of 201 dispatches and a profile", sy_device_caps(b->device)->id);
    sy_program_destroy(&program);
    free(d);
}

static void test_foreign(struct test *t, const struct bench *b)
{
    struct sy_device *other = NULL;
    struct sy_buffer *buffer = NULL;
    struct sy_program *program = NULL;
    struct sy_dispatch d = make_dispatch(b, 1);
    if (sy_device_open(t->ctx, "ref:0", &other) == SY_OK &&
        sy_buffer_create(other, "theirs", 65536, &buffer) == SY_OK) {
        d.bindings[0] = (struct sy_binding){buffer, 0, N * 4};
        check_fails(t, sy_program_create(b->device, "p", &d, 1, &program), SY_INVALID, "'theirs'",
                    "another device's buffer");
    } else {
        check(t, false, "ref:0 opens beside %s", sy_device_caps(b->device)->id);
    }
    sy_buffer_destroy(&buffer);
    sy_device_close(&other);
}

static void test_out_of_memory(struct test *t, const char *id)
{
    struct sy_device *device = NULL;
    struct sy_buffer *first = NULL, *second = NULL;
    setenv("SY_FORCE_MEMORY", "1M", 1);
    if (sy_device_open(t->ctx, id, &device) == SY_OK && sy_buffer_create(device, "first", 600000, &first) == SY_OK) {
        check_fails(t, sy_buffer_create(device, "second", 600000, &second), SY_NOMEM, "'second' wants 600000",
                    "short memory");
        check(t, second == NULL && strstr(sy_error(t->ctx), "448576 of 1048576") != NULL,
              "%s: the message says what is left", id);
    } else {
        check(t, false, "%s: opens with little memory", id);
    }
    unsetenv("SY_FORCE_MEMORY");
    const unsigned before = t->warnings;
    if (first != NULL) {
        sy_buffer_destroy(&first);
        check(t, sy_buffer_create(device, "reborn", 600000, &first) == SY_OK, "%s: freed memory is had again", id);
        sy_buffer_destroy(&first);
    }
    sy_device_close(&device);
    check(t, t->warnings == before, "%s: a clean close is silent", id);
}

static void test_leftovers(struct test *t)
{
    static struct sy_buffer *orphan; // lost on purpose; static, so that leak checkers see it held
    struct sy_device *device = NULL;
    if (sy_device_open(t->ctx, "ref:0", &device) != SY_OK || sy_buffer_create(device, "orphan", 4, &orphan) != SY_OK) {
        check(t, false, "ref:0 opens for the test of leftovers");
        return;
    }
    sy_device_close(&device);
    check(t, strstr(t->last_warning, "'orphan'") != NULL, "closing names what was left: %s", t->last_warning);
}

// 1,000 elements in groups of at most 64 exceed 7 groups along x: where grids fold, this one does, and overshoots.
static void test_folded(struct test *t, const char *id)
{
    struct sy_device *device = NULL;
    setenv("SY_FORCE_MAX_GROUPS", "7", 1);
    const enum sy_status status = sy_device_open(t->ctx, id, &device);
    unsetenv("SY_FORCE_MAX_GROUPS");
    struct bench b;
    if (status != SY_OK || !open_bench(&b, device)) {
        check(t, false, "%s: opens with few work-groups along x", id);
        return;
    }
    const struct sy_dispatch d[3] = {make_dispatch(&b, 1), make_dispatch(&b, 2), make_dispatch(&b, 3)};
    struct sy_program *program = NULL;
    const bool good = fill_inputs(&b, 2) && sy_program_create(device, "folded", d, 3, &program) == SY_OK &&
                      sy_program_submit(program) == SY_OK && check_output(&b, 3, 2, 1);
    check(t, good, "%s: a folded grid computes the same", id);
    sy_program_destroy(&program);
    close_bench(&b);
    sy_device_close(&device);
}

/// KiB of this process for which huge pages were asked; −1 where Linux knows of none.
static long huge_kib(void)
{
    if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) != 0)
        return -1;
    FILE *maps = fopen("/proc/self/smaps", "r");
    if (maps == NULL)
        return -1;
    long total = 0, size = 0;
    for (char line[512]; fgets(line, sizeof line, maps) != NULL;) {
        if (sscanf(line, "Size: %ld kB", &size) != 1 && strncmp(line, "VmFlags:", 8) == 0 &&
            strstr(line, " hg") != NULL)
            total += size;
    }
    fclose(maps);
    return total;
}

static void test_huge_pages(struct test *t, struct sy_device *device)
{
    const struct sy_caps *caps = sy_device_caps(device);
    enum { MIB = 16 };
    struct sy_buffer *buffer = NULL;
    unsigned char last[4] = {1, 1, 1, 1};
    const long before = huge_kib();
    if (caps->backend != SY_BACKEND_OPENCL || caps->device_class != SY_CLASS_CPU || before < 0)
        return;
    const bool made = sy_buffer_create(device, "huge", MIB << 20, &buffer) == SY_OK &&
                      sy_buffer_read(buffer, (MIB << 20) - 4, last, 4) == SY_OK;
    const long asked = huge_kib() - before;
    check(t, made && asked >= (MIB - 4) << 10 && last[0] == 0 && last[3] == 0,
          "%s: huge pages for a large buffer: %ld KiB of %d MiB, zero", caps->id, asked, MIB);
    sy_buffer_destroy(&buffer);
}

static void test_device(struct test *t, const char *id)
{
    struct sy_device *device = NULL;
    if (sy_device_open(t->ctx, id, &device) != SY_OK) {
        check(t, false, "%s opens", id);
        return;
    }
    test_caps(t, sy_device_caps(device));
    test_buffers(t, device);
    test_huge_pages(t, device);
    test_kernel_errors(t, device);
    test_chatter(t, device);
    test_many_kernels(t, device);
    test_compiled_ahead(t, sy_device_caps(device));
    struct bench b;
    const bool ready = open_bench(&b, device);
    check(t, ready, "%s: the test kernel compiles", id);
    if (ready) {
        test_dispatch_errors(t, &b);
        test_foreign(t, &b);
        test_replay(t, &b);
        test_long_program(t, &b);
    }
    close_bench(&b);
    check(t, sy_device_wait(device) == SY_OK, "%s: nothing is left behind", id);
    sy_device_close(&device);
    test_folded(t, id);
    test_out_of_memory(t, id);
}

static void test_devices(struct test *t)
{
    struct sy_caps *list = NULL;
    size_t count = 0;
    unsigned seen[SY_BACKEND_COUNT] = {0};
    check(t, sy_device_list(t->ctx, &list, &count) == SY_OK && count > 0 && strcmp(list[0].id, "ref:0") == 0,
          "%zu devices are listed, ref:0 first", count);
    for (size_t i = 0; i < count; ++i) {
        ++seen[list[i].backend];
        test_device(t, list[i].id);
    }
    for (int i = 0; i < SY_BACKEND_COUNT; ++i)
        if (seen[i] == 0)
            skip(t, sy_backend_name((enum sy_backend_id)i), "no device of this backend here");
    free(list);
}

int main(void)
{
    struct test t = {0};
    t.ctx = sy_ctx_create(log_message, &t, SY_LOG_WARN);
    if (t.ctx == NULL)
        return 1;
    test_names(&t);
    test_forced_limits(&t);
    test_cache(&t);
    test_leftovers(&t);
    test_devices(&t);
    printf("1..%u\n%u passed, %u failed, %u skipped\n", t.done, t.done - t.failed - t.skipped, t.failed, t.skipped);
    sy_ctx_destroy(&t.ctx);
    return t.failed != 0;
}
