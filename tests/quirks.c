// SPDX-License-Identifier: Apache-2.0
// quirks.c: the canaries of hostlib/quirk.h. For every device that is worked around: with the work-around in force its
// trigger does no harm; without, a child process shows whether the driver still makes the mistake. Only the first is a
// check: that a driver no longer makes it is said in a line of its own ("not seen"), and fails nothing.
//
// usage: test_quirks [--device ID]   and, for its own children, test_quirks --trigger NAME ID
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostlib/kernel.h"
#include "hostlib/quirk.h"
#include "tests/tap.h"

extern char **environ;

enum { TRIES = 8, BYTES = 4096, FILLED = 32 << 20 }; // a long fill, to give the write behind it time to overtake

// ---- triggers: true when the driver did as it should ---------------------------------------------------------------

static const char copy_cl[] =
    "struct args { uint n; };\n"
    "__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void copy_up(__global const uint *restrict x,\n"
    "    __global uint *restrict y, const struct args p)\n"
    "{\n"
    "    const uint i = (uint)get_group_id(0) * WG + (uint)get_global_offset(0) + (uint)get_local_id(0);\n"
    "    if (i < p.n)\n"
    "        y[i] = x[i] + 1;\n"
    "}\n"
    "#ifdef NEW\n" // PoCL's cache knows programs by their text behind the preprocessor
    "__constant long new_text = NEW;\n"
    "#endif\n";

static void copy_ref(const void *args, const struct sy_ref_tensor *b)
{
    for (uint32_t i = 0; i < *(const uint32_t *)args; ++i)
        ((uint32_t *)b[1].data)[i] = ((const uint32_t *)b[0].data)[i] + 1;
}

static struct sy_kernel_params copy_params(void)
{
    return (struct sy_kernel_params){.source = {.name = "copy_up", .cl_text = copy_cl, .ref = copy_ref},
                                     .cl_defines = "",
                                     .wg = 1,
                                     .vec = 1,
                                     .binding_count = 2,
                                     .const_binding = UINT32_MAX,
                                     .args_bytes = 4,
                                     .types = {SY_I32, SY_I32}};
}

/// Compiles a kernel, or takes it from our cache, and runs it.
static bool compile_and_run(struct sy_device *device)
{
    const struct sy_kernel_params params = copy_params();
    struct sy_kernel *kernel = NULL;
    struct sy_buffer *x = NULL, *y = NULL;
    struct sy_program *program = NULL;
    uint32_t sent[16], got[16] = {0};
    for (uint32_t i = 0; i < SY_COUNT(sent); ++i)
        sent[i] = 1000 + i;
    bool good = sy_kernel_create(device, &params, &kernel) == SY_OK &&
                sy_buffer_create(device, "x", sizeof sent, &x) == SY_OK &&
                sy_buffer_create(device, "y", sizeof got, &y) == SY_OK &&
                sy_buffer_write(x, 0, sent, sizeof sent) == SY_OK;
    struct sy_dispatch d = {.kernel = kernel,
                            .bindings = {{x, 0, sizeof sent}, {y, 0, sizeof got}},
                            .write_mask = 2,
                            .args = {SY_COUNT(sent)},
                            .groups = SY_COUNT(sent),
                            .label = "copy_up",
                            .flops = 16};
    good = good && sy_program_create(device, "copy", &d, 1, &program) == SY_OK && sy_program_submit(program) == SY_OK &&
           sy_buffer_read(y, 0, got, sizeof got) == SY_OK;
    for (uint32_t i = 0; i < SY_COUNT(sent); ++i)
        good = good && got[i] == sent[i] + 1;
    sy_program_destroy(&program);
    sy_kernel_destroy(&kernel);
    sy_buffer_destroy(&x);
    sy_buffer_destroy(&y);
    return good;
}

/// Fills with zeros and writes behind it, at once; the writes must win.
static bool fill_then_write(struct sy_device *device)
{
    static unsigned char sent[BYTES], got[BYTES];
    struct sy_buffer *b = NULL;
    bool good = true;
    memset(sent, 0xa5, sizeof sent);
    for (int i = 0; i < TRIES && good; ++i) {
        good = sy_buffer_create(device, "filled", FILLED, &b) == SY_OK && sy_buffer_write(b, 0, sent, BYTES) == SY_OK &&
               sy_buffer_read(b, 0, got, BYTES) == SY_OK && memcmp(sent, got, BYTES) == 0;
        good = good && sy_buffer_zero(b, 0, FILLED) == SY_OK && sy_buffer_write(b, 0, sent, BYTES) == SY_OK &&
               sy_buffer_read(b, 0, got, BYTES) == SY_OK && memcmp(sent, got, BYTES) == 0;
        sy_buffer_destroy(&b);
    }
    return good;
}

/// Zeros are zeros. What Oclgrind thinks of reading them it says on stderr, which tests/races.py judges.
static bool zeros_read_back(struct sy_device *device)
{
    static unsigned char got[BYTES + 4], none[BYTES + 4];
    struct sy_buffer *b = NULL;
    memset(got, 0xa5, sizeof got);
    bool good = sy_buffer_create(device, "zeros", sizeof got, &b) == SY_OK &&
                sy_buffer_write(b, 0, got, sizeof got) == SY_OK && sy_buffer_zero(b, 0, sizeof got) == SY_OK &&
                sy_buffer_read(b, 0, got, sizeof got) == SY_OK && memcmp(got, none, sizeof got) == 0;
    sy_buffer_destroy(&b);
    return good;
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/// A small kernel compiles at once, when another one has warmed the compiler up: 15 ms where it takes 160 without.
static bool compiles_quickly(struct sy_device *device)
{
    double before = 0.0;
    bool good = true;
    for (int i = 0; i < 4 && good; ++i) {
        char defines[64]; // that no cache has seen
        snprintf(defines, sizeof defines, "-DNEW=%ld%d", (long)getpid(), i);
        struct sy_kernel *kernel = NULL;
        struct sy_kernel_params params = copy_params();
        params.cl_defines = defines;
        if (i == 1)
            before = cpu_seconds();
        good = sy_kernel_create(device, &params, &kernel) == SY_OK;
        sy_kernel_destroy(&kernel);
    }
    return good && (cpu_seconds() - before) / 3 < 0.08;
}

static const struct {
    bool (*run)(struct sy_device *);
    int processes; ///< One after the other: the second finds what the first has cached.
} triggers[SY_QUIRK_COUNT] = {
    [SY_QUIRK_OWN_CACHE] = {compile_and_run, 3},
    [SY_QUIRK_DRAIN_FILL] = {fill_then_write, 1},
    [SY_QUIRK_WRITE_ZEROS] = {zeros_read_back, 1},
    [SY_QUIRK_DECLARE] = {compiles_quickly, 1},
};

// ---- running them --------------------------------------------------------------------------------------------------

/// In the child. 0 as it should be, 1 wrong; a crash is a crash.
static int trigger(const char *name, const char *id)
{
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    struct sy_device *device = NULL;
    bool good = false;
    for (int q = 0; q < SY_QUIRK_COUNT; ++q)
        if (ctx != NULL && strcmp(sy_quirk_info((enum sy_quirk)q)->name, name) == 0 &&
            sy_device_open(ctx, id, &device) == SY_OK)
            good = triggers[q].run(device);
    sy_device_close(&device);
    sy_ctx_destroy(&ctx);
    return good ? 0 : 1;
}

/// Every child of the trigger ended well.
static bool children_are_well(char *self, enum sy_quirk quirk, char *id)
{
    char *const argv[] = {self, (char *)"--trigger", (char *)sy_quirk_info(quirk)->name, id, NULL};
    for (int i = 0; i < triggers[quirk].processes; ++i) {
        pid_t child;
        int status;
        if (posix_spawn(&child, "/proc/self/exe", NULL, NULL, argv, environ) != 0 ||
            waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            return false;
    }
    return true;
}

static void canary(struct tap *t, char *self, struct sy_caps *caps, enum sy_quirk quirk)
{
    const struct sy_quirk_info *info = sy_quirk_info(quirk);
    tap_ok(t, children_are_well(self, quirk, caps->id), "%s (%s): %s: in force, its trigger does no harm", caps->id,
           caps->driver, info->name);
    setenv("SY_NO_QUIRK", info->name, 1);
    const bool repaired = children_are_well(self, quirk, caps->id);
    unsetenv("SY_NO_QUIRK");
    printf("# %s (%s): %s: %s\n", caps->id, caps->driver, info->name,
           repaired ? "not seen by its trigger when switched off" : "still needed: the trigger fails without it");
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--trigger") == 0)
        return trigger(argv[2], argv[3]);
    char folder[] = P_tmpdir "/switchyard-quirks.XXXXXX", command[sizeof folder + 16];
    const char *only = argc == 3 && strcmp(argv[1], "--device") == 0 ? argv[2] : NULL;
    struct tap t = {0};
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    struct sy_caps *list = NULL;
    size_t count = 0;
    if (ctx == NULL || mkdtemp(folder) == NULL || setenv("SY_CACHE_DIR", folder, 1) != 0)
        return 1;
    setenv("SY_NO_QUIRK", "no_such_thing", 1);
    struct sy_device *device = NULL;
    tap_ok(&t,
           sy_device_open(ctx, "ref:0", &device) == SY_INVALID &&
               strstr(sy_error(ctx), "known: own_cache, drain_fill, write_zeros, declare") != NULL,
           "an unknown name in SY_NO_QUIRK: %s", sy_error(ctx));
    unsetenv("SY_NO_QUIRK");
    if (sy_device_list(ctx, &list, &count) != SY_OK)
        tap_ok(&t, 0, "listing devices: %s", sy_error(ctx));
    for (size_t i = 0; i < count; ++i)
        for (int q = 0; q < SY_QUIRK_COUNT; ++q)
            if ((only == NULL || strcmp(only, list[i].id) == 0) && sy_has_quirk(&list[i], (enum sy_quirk)q))
                canary(&t, argv[0], &list[i], (enum sy_quirk)q);
    free(list);
    sy_ctx_destroy(&ctx);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0 ? 1 : tap_done(&t);
}
