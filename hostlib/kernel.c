// SPDX-License-Identifier: Apache-2.0
// kernel.c: kernels, checked for all backends before a driver sees them, and compiled one by one or many at once.
#include "hostlib/ahead.h"
#include "hostlib/check.h"
#include "hostlib/hazards.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define MAX_THREADS 16
#define PROGRESS_SECONDS 2.0

// ---- what a kernel may ask for -----------------------------------------------------------------------------------

static bool has_source(const struct sy_device *device, const struct sy_kernel_source *source)
{
    switch (device->caps.backend) {
    case SY_BACKEND_REF: return source->ref != NULL;
    case SY_BACKEND_OPENCL: return source->cl_text != NULL;
    case SY_BACKEND_VULKAN: return source->spirv != NULL && source->spirv_bytes >= 20 && source->spirv_bytes % 4 == 0;
    case SY_BACKEND_COUNT: break;
    }
    return false;
}

// What no device could do.
static enum sy_status check_kernel_shape(struct sy_device *device, const struct sy_kernel_params *p)
{
    struct sy_ctx *ctx = device->ctx;
    const char *name = p->source.name;
    if (name == NULL || name[0] == '\0')
        return sy_fail(ctx, SY_INVALID, "a kernel for %s has no name; set source.name to its entry point",
                       device->caps.id);
    if (p->binding_count == 0 || p->binding_count > SY_MAX_BINDINGS)
        return sy_fail(ctx, SY_INVALID, "kernel %s: %u bindings; expected 1 to %d", name, p->binding_count,
                       SY_MAX_BINDINGS);
    if (p->const_binding != UINT32_MAX && p->const_binding >= p->binding_count)
        return sy_fail(ctx, SY_INVALID, "kernel %s: const_binding %u is not one of its %u bindings", name,
                       p->const_binding, p->binding_count);
    if (p->args_bytes < 4 || p->args_bytes % 4 != 0 || p->args_bytes > SY_MAX_ARGS_BYTES)
        return sy_fail(ctx, SY_INVALID, "kernel %s: %u bytes of arguments; expected a multiple of 4 from 4 to %d", name,
                       p->args_bytes, SY_MAX_ARGS_BYTES);
    if (p->wg == 0 || p->vec == 0)
        return sy_fail(ctx, SY_INVALID, "kernel %s: wg %u and vec %u must both be above 0", name, p->wg, p->vec);
    for (uint32_t i = 0; i < p->binding_count; ++i) {
        if ((unsigned)p->types[i] > SY_U32)
            return sy_fail(ctx, SY_INVALID, "kernel %s: binding %u has unknown element type %d", name, i,
                           (int)p->types[i]);
        if (p->types[i] == SY_F64 && device->caps.backend != SY_BACKEND_REF)
            return sy_fail(ctx, SY_UNSUPPORTED, "kernel %s: binding %u is f64, which only ref:0 computes, not %s", name,
                           i, device->caps.id);
        if (p->types[i] == SY_BF16 && !device->caps.bf16)
            return sy_fail(ctx, SY_UNSUPPORTED,
                           "kernel %s: binding %u is bf16, which %s (%s) cannot store in buffers; use --precision f32",
                           name, i, device->caps.id, device->caps.name);
    }
    return SY_OK;
}

static enum sy_status check_kernel_limits(struct sy_device *device, const struct sy_kernel_params *p)
{
    const struct sy_caps *caps = &device->caps;
    const struct {
        const char *what;
        uint32_t wanted, limit;
    } limits[] = {
        {"work-group size", p->wg, caps->max_wg},
        {"storage bindings", p->binding_count - (p->const_binding != UINT32_MAX), caps->max_bindings},
        {"bytes of arguments", p->args_bytes, caps->max_args_bytes},
    };
    for (size_t i = 0; i < SY_COUNT(limits); ++i) {
        if (limits[i].wanted > limits[i].limit)
            return sy_fail(device->ctx, SY_UNSUPPORTED, "kernel %s: %s %u exceeds the limit %u of %s (%s)",
                           p->source.name, limits[i].what, limits[i].wanted, limits[i].limit, caps->id, caps->name);
    }
    if (!has_source(device, &p->source))
        return sy_fail(device->ctx, SY_UNSUPPORTED,
                       "kernel %s has no %s source in this build; choose another device than %s", p->source.name,
                       sy_backend_name(caps->backend), caps->id);
    return SY_OK;
}

static enum sy_status check_kernel(struct sy_device *device, const struct sy_kernel_params *params)
{
    SY_TRY(check_kernel_shape(device, params));
    return check_kernel_limits(device, params);
}

// ---- compiling -----------------------------------------------------------------------------------------------------

// One checked kernel. May run on several threads of one device: it does not touch the device's counts.
static enum sy_status compile(struct sy_device *device, const struct sy_kernel_params *params, struct sy_kernel **out)
{
    struct sy_kernel_params own = *params;
    char *defines = strdup(params->cl_defines != NULL ? params->cl_defines : "");
    if (defines == NULL)
        return sy_fail(device->ctx, SY_NOMEM, "out of host memory for kernel %s", params->source.name);
    own.cl_defines = defines;
    struct sy_kernel *kernel = NULL;
    enum sy_status status = device->backend->kernel_create(device, &own, &kernel);
    if (status != SY_OK) {
        free(defines);
        return status;
    }
    kernel->device = device;
    kernel->params = own;
    *out = kernel;
    return SY_OK;
}

enum sy_status sy_kernel_create(struct sy_device *device, const struct sy_kernel_params *params,
                                struct sy_kernel **out_kernel)
{
    SY_TRY(sy_device_usable(device));
    SY_TRY(check_kernel(device, params));
    SY_TRY(compile(device, params, out_kernel));
    ++device->kernel_count;
    return SY_OK;
}

/// Work that threads take one by one.
struct crowd {
    struct sy_device *device;
    const struct sy_kernel_params *params;
    struct sy_kernel **kernels;
    size_t count;
    atomic_size_t next, done;
    atomic_int status; ///< The first failure; the others then stop.
};

static void *take_kernels(void *argument)
{
    struct crowd *c = argument;
    while (atomic_load(&c->status) == SY_OK) {
        const size_t i = atomic_fetch_add(&c->next, 1);
        if (i >= c->count)
            break;
        const enum sy_status status = compile(c->device, &c->params[i], &c->kernels[i]);
        int none = SY_OK;
        if (status != SY_OK)
            atomic_compare_exchange_strong(&c->status, &none, (int)status);
        atomic_fetch_add(&c->done, 1);
    }
    return NULL;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Waits for a thread, and says now and then how far all are: nothing when it is quick.
static void join_telling(pthread_t thread, struct crowd *c, double *next_word)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    for (;;) {
        until.tv_nsec += 250000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (pthread_timedjoin_np(thread, NULL, &until) == 0)
            return;
        if (seconds() >= *next_word) {
            sy_log(c->device->ctx, SY_LOG_INFO, "compiling kernels for %s: %zu of %zu", c->device->caps.id,
                   atomic_load(&c->done), c->count);
            *next_word = seconds() + PROGRESS_SECONDS;
        }
    }
}

static size_t thread_count(size_t kernels)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t most = cores < 1 ? 1 : cores > MAX_THREADS ? MAX_THREADS : (size_t)cores;
    return kernels < most ? kernels : most;
}

static void run_crowd(struct crowd *c)
{
    pthread_t threads[MAX_THREADS];
    size_t started = 0;
    double next_word = seconds() + PROGRESS_SECONDS;
    while (started < thread_count(c->count) && pthread_create(&threads[started], NULL, take_kernels, c) == 0)
        ++started;
    if (started == 0)
        take_kernels(c); // no thread to be had: alone
    for (size_t i = 0; i < started; ++i)
        join_telling(threads[i], c, &next_word);
}

enum sy_status sy_kernels_create(struct sy_device *device, const struct sy_kernel_params *params, size_t count,
                                 struct sy_kernel **out_kernels)
{
    SY_TRY(sy_device_usable(device));
    for (size_t i = 0; i < count; ++i)
        SY_TRY(check_kernel(device, &params[i]));
    struct sy_kernel **kernels = calloc(count + 1, sizeof *kernels);
    if (kernels == NULL)
        return sy_fail(device->ctx, SY_NOMEM, "out of host memory for %zu kernels", count);
    sy_kernels_ahead(device, params, count);
    struct crowd c = {.device = device, .params = params, .kernels = kernels, .count = count};
    run_crowd(&c);
#ifdef __GLIBC__
    malloc_trim(0); // what a driver's compiler freed and nobody asks for again
#endif
    for (size_t i = 0; i < count; ++i)
        device->kernel_count += kernels[i] != NULL;
    const enum sy_status status = (enum sy_status)atomic_load(&c.status);
    for (size_t i = 0; i < count; ++i) {
        if (status == SY_OK)
            out_kernels[i] = kernels[i];
        else
            sy_kernel_destroy(&kernels[i]);
    }
    free(kernels);
    return status;
}

void sy_kernel_destroy(struct sy_kernel **kernel)
{
    if (kernel == NULL || *kernel == NULL)
        return;
    struct sy_device *device = (*kernel)->device;
    char *defines = (char *)(*kernel)->params.cl_defines; // ours: copied above
    --device->kernel_count;
    device->backend->kernel_destroy(*kernel);
    free(defines);
    *kernel = NULL;
}

const struct sy_kernel_params *sy_kernel_params(const struct sy_kernel *kernel) { return &kernel->params; }

static enum sy_status check_inspected(const struct sy_kernel *kernel, const char *what)
{
    const struct sy_device *device = kernel->device;
    SY_TRY(sy_device_usable(kernel->device));
    if (!kernel->params.inspect)
        return sy_fail(device->ctx, SY_INVALID, "kernel %s on %s was made without `inspect`; there are no %s",
                       kernel->params.source.name, device->caps.id, what);
    return SY_OK;
}

enum sy_status sy_kernel_statistics(const struct sy_kernel *kernel, struct sy_kernel_stat **out, size_t *count)
{
    const struct sy_backend *backend = kernel->device->backend;
    SY_TRY(check_inspected(kernel, "statistics"));
    *out = NULL;
    *count = 0;
    return backend->kernel_statistics != NULL ? backend->kernel_statistics(kernel, out, count) : SY_OK;
}

enum sy_status sy_kernel_assembly(const struct sy_kernel *kernel, char **out_text)
{
    const struct sy_backend *backend = kernel->device->backend;
    SY_TRY(check_inspected(kernel, "texts"));
    if (backend->kernel_assembly == NULL)
        return sy_fail(kernel->device->ctx, SY_UNSUPPORTED, "kernel %s: %s drivers give no assembly",
                       kernel->params.source.name, sy_backend_name(backend->id));
    *out_text = NULL;
    return backend->kernel_assembly(kernel, out_text);
}
