// SPDX-License-Identifier: Apache-2.0
// ahead.c: hands kernels to switchyard-compile, or is it.
#include "hostlib/ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostlib/backend.h"
#include "hostlib/names.h"

#define PROGRAM "switchyard-compile"
#define MAX_HELPERS 16
#define LEAST_KERNELS 3 // fewer are compiled here before a process has come up
#define PROGRESS_MS 2000

extern char **environ;

/// One kernel in the file of jobs; strings are offsets into the file.
struct job {
    uint64_t name, text, defines;
    uint32_t wg, vec, binding_count, const_binding, args_bytes;
    enum sy_dtype types[SY_MAX_BINDINGS];
};

// ---- the file of jobs -----------------------------------------------------------------------------------------------

static uint64_t put_text(FILE *file, const char *text)
{
    const long at = ftell(file);
    fwrite(text, 1, strlen(text) + 1, file);
    return (uint64_t)at;
}

/// The job of kernel `order[i]` is number i. A descriptor of an unnamed file, or −1.
static int write_jobs(const struct sy_kernel_params *params, const size_t *order, size_t count)
{
    int fd = -1;
    struct job *jobs = calloc(count, sizeof *jobs);
    FILE *file = tmpfile();
    if (jobs != NULL && file != NULL && fseek(file, (long)(count * sizeof *jobs), SEEK_SET) == 0) {
        for (size_t i = 0; i < count; ++i) {
            const struct sy_kernel_params *p = &params[order[i]];
            jobs[i] = (struct job){.name = put_text(file, p->source.name),
                                   .text = put_text(file, p->source.cl_text),
                                   .defines = put_text(file, p->cl_defines != NULL ? p->cl_defines : ""),
                                   .wg = p->wg,
                                   .vec = p->vec,
                                   .binding_count = p->binding_count,
                                   .const_binding = p->const_binding,
                                   .args_bytes = p->args_bytes};
            memcpy(jobs[i].types, p->types, sizeof jobs[i].types);
        }
        rewind(file);
        fwrite(jobs, sizeof *jobs, count, file);
        if (fflush(file) == 0 && ferror(file) == 0)
            fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 10);
    }
    if (file != NULL)
        fclose(file);
    free(jobs);
    return fd;
}

static void read_job(const char *file, size_t i, struct sy_kernel_params *out)
{
    struct job job;
    memcpy(&job, file + i * sizeof job, sizeof job);
    *out = (struct sy_kernel_params){.source = {.name = file + job.name, .cl_text = file + job.text},
                                     .cl_defines = file + job.defines,
                                     .wg = job.wg,
                                     .vec = job.vec,
                                     .binding_count = job.binding_count,
                                     .const_binding = job.const_binding,
                                     .args_bytes = job.args_bytes};
    memcpy(out->types, job.types, sizeof out->types);
}

// ---- switchyard-compile ---------------------------------------------------------------------------------------------

static void leave_mark(const char *path)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    mkdir(folder, 0777);
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0)
        close(fd);
}

static void compile_one(struct sy_device *device, const struct sy_kernel_params *params)
{
    char mark[PATH_MAX];
    struct sy_kernel *kernel = NULL;
    // Another process that started with the same kernels may have been here.
    if (!device->backend->kernel_mark(device, params, mark) || access(mark, F_OK) == 0)
        return;
    if (sy_kernel_create(device, params, &kernel) == SY_OK && device->backend->kernel_finish(kernel) == SY_OK)
        leave_mark(mark);
    sy_kernel_destroy(&kernel);
}

int sy_ahead_serve(const char *id, int jobs, int work, int done)
{
    struct stat info;
    struct sy_device *device = NULL;
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    if (ctx == NULL || fstat(jobs, &info) != 0 || sy_device_open(ctx, id, &device) != SY_OK ||
        device->backend->kernel_mark == NULL)
        return 1;
    const char *file = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, jobs, 0);
    if (file == MAP_FAILED)
        return 1;
    for (uint16_t number; read(work, &number, sizeof number) == sizeof number;) {
        struct sy_kernel_params params;
        read_job(file, number, &params);
        compile_one(device, &params);
        if (write(done, "", 1) != 1)
            return 1; // whoever asked is gone
    }
    return 0;
}

// ---- asking ---------------------------------------------------------------------------------------------------------

struct help {
    struct sy_device *device;
    int jobs, work[2], done[2];
    pid_t pids[MAX_HELPERS];
    size_t helpers, count;
};

/// Beside the running program, beside it in a build folder, or where programs for programs are installed.
static bool find_program(char out[PATH_MAX])
{
    char self[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    static const char *const places[] = {"", "/../apps"};
    if (n > 0) {
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        for (size_t i = 0; i < SY_COUNT(places); ++i)
            if (snprintf(out, PATH_MAX, "%s%s/" PROGRAM, self, places[i]) < PATH_MAX && access(out, X_OK) == 0)
                return true;
    }
    return snprintf(out, PATH_MAX, "%s/" PROGRAM, SY_LIBEXEC) < PATH_MAX && access(out, X_OK) == 0;
}

/// Ours, but for what a program is preloaded with: that was meant for this one.
static char **helper_environment(void)
{
    size_t count = 0, kept = 0;
    while (environ[count] != NULL)
        ++count;
    char **list = calloc(count + 1, sizeof *list);
    for (size_t i = 0; list != NULL && i < count; ++i)
        if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0)
            list[kept++] = environ[i];
    return list;
}

/// Pipes whose ends are beyond the numbers that a helper expects them at.
static bool make_pipe(int out[2])
{
    int low[2];
    if (pipe2(low, O_CLOEXEC) != 0)
        return false;
    for (int i = 0; i < 2; ++i) {
        out[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 10);
        close(low[i]);
    }
    return out[0] >= 0 && out[1] >= 0;
}

static void start_helpers(struct help *h, const char *program, size_t wanted)
{
    char *argv[] = {PROGRAM, h->device->caps.id, NULL};
    char **env = helper_environment();
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    if (env == NULL || posix_spawn_file_actions_init(&actions) != 0) {
        free(env);
        return;
    }
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    for (int fd = 0; fd < 3; ++fd)
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, h->jobs, 3);
    posix_spawn_file_actions_adddup2(&actions, h->work[0], 4);
    posix_spawn_file_actions_adddup2(&actions, h->done[1], 5);
    while (h->helpers < wanted && posix_spawn(&h->pids[h->helpers], program, &actions, &attributes, argv, env) == 0)
        ++h->helpers;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    free(env);
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/// Counts what is done until all helpers have gone, and says now and then how far they are.
static size_t count_done(struct help *h)
{
    size_t done = 0;
    struct timespec next, now;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (;;) {
        char bytes[256];
        struct pollfd wait = {.fd = h->done[0], .events = POLLIN};
        const int ready = poll(&wait, 1, PROGRESS_MS / 8);
        if (ready > 0) {
            const ssize_t n = read(h->done[0], bytes, sizeof bytes);
            if (n == 0 || (n < 0 && errno != EINTR))
                return done;
            done += n > 0 ? (size_t)n : 0;
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((now.tv_sec - next.tv_sec) * 1000 + (now.tv_nsec - next.tv_nsec) / 1000000 >= PROGRESS_MS) {
            next = now;
            sy_log(h->device->ctx, SY_LOG_INFO, "compiling kernels for %s: %zu of %zu", h->device->caps.id, done,
                   h->count);
        }
    }
}

static void ask(struct help *h, const char *program)
{
    const size_t units = h->device->caps.compute_units, most = h->count < MAX_HELPERS ? h->count : MAX_HELPERS;
    for (size_t i = 0; i < h->count; ++i) {
        const uint16_t number = (uint16_t)i;
        if (write(h->work[1], &number, sizeof number) != sizeof number)
            return;
    }
    start_helpers(h, program, units == 0 ? 1 : units < most ? units : most);
    close_end(&h->work[0]);
    close_end(&h->work[1]);
    close_end(&h->done[1]);
    const size_t done = count_done(h);
    for (size_t i = 0; i < h->helpers; ++i)
        while (waitpid(h->pids[i], NULL, 0) < 0 && errno == EINTR) {
        }
    sy_log(h->device->ctx, SY_LOG_DEBUG, "%zu of %zu kernels were compiled by %zu of %s", done, h->count, h->helpers,
           program);
}

/// What takes longest comes first, so that nobody waits for one at the end; a text's length tells well enough.
static void sort_longest_first(const struct sy_kernel_params *params, size_t *order, size_t count)
{
    for (size_t i = 1; i < count; ++i) {
        const size_t moving = order[i], length = strlen(params[moving].source.cl_text);
        size_t k = i;
        for (; k > 0 && strlen(params[order[k - 1]].source.cl_text) < length; --k)
            order[k] = order[k - 1];
        order[k] = moving;
    }
}

void sy_kernels_ahead(struct sy_device *device, const struct sy_kernel_params *params, size_t count)
{
    char mark[PATH_MAX], program[PATH_MAX];
    struct help h = {.device = device, .jobs = -1, .work = {-1, -1}, .done = {-1, -1}};
    if (device->backend->kernel_mark == NULL || sy_env_switch("SY_COMPILE_ALONE", false) || !find_program(program))
        return;
    size_t *order = calloc(count + 1, sizeof *order);
    for (size_t i = 0; order != NULL && i < count && h.count < UINT16_MAX / 2; ++i)
        if (device->backend->kernel_mark(device, &params[i], mark) && access(mark, F_OK) != 0)
            order[h.count++] = i;
    if (order != NULL && h.count >= LEAST_KERNELS) {
        sort_longest_first(params, order, h.count);
        h.jobs = write_jobs(params, order, h.count);
        if (h.jobs >= 0 && make_pipe(h.work) && make_pipe(h.done))
            ask(&h, program);
    }
    int *const ends[] = {&h.jobs, &h.work[0], &h.work[1], &h.done[0], &h.done[1]};
    for (size_t i = 0; i < SY_COUNT(ends); ++i)
        close_end(ends[i]);
    free(order);
}
