// SPDX-License-Identifier: Apache-2.0
// program.c: recorded programs. Every dispatch is checked here once, for all backends, before a driver sees it: ranges,
// alignment, limits. Backends and drivers then need not be trusted with wrong arguments.
#include "hostlib/check.h"
#include "hostlib/hazards.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// ---- dispatches ------------------------------------------------------------------------------------------------

/// Where a fault is: which dispatch of which program.
struct site {
    struct sy_device *device;
    const char *program;
    size_t index;
    const struct sy_dispatch *dispatch;
};

static const char *site_label(const struct site *at)
{
    if (at->dispatch->label != NULL)
        return at->dispatch->label;
    return at->dispatch->kernel != NULL ? at->dispatch->kernel->params.source.name : "(unnamed)";
}

SY_PRINTF(3, 4)
static enum sy_status fail_at(const struct site *at, enum sy_status code, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return sy_fail(at->device->ctx, code, "program '%s', dispatch %zu '%s' on %s: %s", at->program, at->index,
                   site_label(at), at->device->caps.id, text);
}

static enum sy_status check_binding(const struct site *at, uint32_t i)
{
    const struct sy_caps *caps = &at->device->caps;
    const struct sy_binding *b = &at->dispatch->bindings[i];
    const uint64_t element = sy_dtype_bytes(at->dispatch->kernel->params.types[i]);
    if (b->buffer == NULL)
        return fail_at(at, SY_INVALID, "binding %u has no buffer", i);
    const char *name = b->buffer->name;
    if (b->buffer->device != at->device)
        return fail_at(at, SY_INVALID, "binding %u: buffer '%s' belongs to %s", i, name, b->buffer->device->caps.id);
    if (b->bytes == 0 || b->bytes % element != 0)
        return fail_at(at, SY_INVALID,
                       "binding %u ('%s') has %" PRIu64 " bytes; expected a multiple of %" PRIu64 " above 0", i, name,
                       b->bytes, element);
    if (b->offset_bytes % caps->offset_align != 0)
        return fail_at(at, SY_INVALID, "binding %u ('%s') starts at byte %" PRIu64 ", not a multiple of %u", i, name,
                       b->offset_bytes, caps->offset_align);
    if (b->offset_bytes > b->buffer->bytes || b->bytes > b->buffer->bytes - b->offset_bytes)
        return fail_at(at, SY_INVALID,
                       "binding %u: %" PRIu64 " bytes at offset %" PRIu64 " end beyond the %" PRIu64 " bytes of '%s'",
                       i, b->bytes, b->offset_bytes, b->buffer->bytes, name);
    if (b->bytes > caps->max_binding_bytes)
        return fail_at(at, SY_INVALID,
                       "binding %u ('%s') has %" PRIu64 " bytes, the device binds at most %" PRIu64
                       "; split the tensor",
                       i, name, b->bytes, caps->max_binding_bytes);
    return SY_OK;
}

// Work-groups are one number. Where a device's x is too short the grid is folded into x·y, whose rounded-up
// product must still be a 32-bit index.
static enum sy_status check_groups(const struct site *at)
{
    const uint64_t groups = at->dispatch->groups;
    const uint64_t x = at->device->caps.max_groups[0], y = at->device->caps.max_groups[1];
    if (groups == 0)
        return fail_at(at, SY_INVALID, "0 work-groups; expected at least 1");
    const uint64_t rows = groups / x + (groups % x != 0);
    const uint64_t columns = groups / rows + (groups % rows != 0);
    if (groups > UINT32_MAX || rows > y || rows * columns > UINT32_MAX)
        return fail_at(at, SY_INVALID, "%" PRIu64 " work-groups do not fit the device's %" PRIu64 " by %" PRIu64,
                       groups, x, y);
    return SY_OK;
}

static enum sy_status check_dispatch(const struct site *at)
{
    const struct sy_kernel *kernel = at->dispatch->kernel;
    if (kernel == NULL)
        return fail_at(at, SY_INVALID, "has no kernel");
    if (kernel->device != at->device)
        return fail_at(at, SY_INVALID, "kernel %s belongs to %s", kernel->params.source.name, kernel->device->caps.id);
    const uint32_t count = kernel->params.binding_count, mask = at->dispatch->write_mask;
    if (mask >> count != 0)
        return fail_at(at, SY_INVALID, "write mask 0x%x names bindings beyond the kernel's %u", mask, count);
    if (kernel->params.const_binding != UINT32_MAX && (mask >> kernel->params.const_binding & 1) != 0)
        return fail_at(at, SY_INVALID, "write mask 0x%x names the constants, binding %u", mask,
                       kernel->params.const_binding);
    SY_TRY(check_groups(at));
    for (uint32_t i = 0; i < count; ++i)
        SY_TRY(check_binding(at, i));
    return SY_OK;
}

static enum sy_status check_program(struct sy_device *device, const char *name, const struct sy_dispatch *dispatches,
                                    size_t count)
{
    if (name == NULL || name[0] == '\0')
        return sy_fail(device->ctx, SY_INVALID, "a program of %zu dispatches on %s has no name; give it one", count,
                       device->caps.id);
    if (dispatches == NULL || count == 0)
        return sy_fail(device->ctx, SY_INVALID, "program '%s' on %s has no dispatches", name, device->caps.id);
    for (size_t i = 0; i < count; ++i)
        SY_TRY(check_dispatch(&(struct site){device, name, i, &dispatches[i]}));
    return SY_OK;
}

// ---- programs --------------------------------------------------------------------------------------------------

// A copy in which every dispatch has a label.
static struct sy_dispatch *label_dispatches(const struct sy_dispatch *dispatches, size_t count)
{
    struct sy_dispatch *copy = calloc(count, sizeof *copy);
    if (copy == NULL)
        return NULL;
    memcpy(copy, dispatches, count * sizeof *copy);
    for (size_t i = 0; i < count; ++i)
        if (copy[i].label == NULL)
            copy[i].label = copy[i].kernel->params.source.name;
    return copy;
}

static enum sy_status count_waves(struct sy_device *device, const struct sy_dispatch *dispatches, size_t count,
                                  size_t *out)
{
    struct sy_hazards *hazards = calloc(1, sizeof *hazards);
    if (hazards == NULL)
        return sy_fail(device->ctx, SY_NOMEM, "out of host memory for a program of %zu dispatches", count);
    *out = 1;
    for (size_t i = 0; i < count; ++i)
        *out += sy_hazards_add(hazards, &dispatches[i]);
    free(hazards);
    return SY_OK;
}

size_t sy_program_waves(const struct sy_program *program) { return program->waves; }

size_t sy_program_submissions(const struct sy_program *program) { return program->pace.cuts; }

/// Cuts a program that the backend has made.
static enum sy_status first_cut(struct sy_program *program, const struct sy_dispatch *dispatches)
{
    const struct sy_device *device = program->device;
    const struct sy_backend *backend = device->backend;
    const size_t most = backend->submission_dispatches != 0 ? backend->submission_dispatches : program->count;
    // Slower than all but the slowest device of its kind.
    const double rate = device->caps.software || device->caps.device_class == SY_CLASS_CPU ? 2e9 : 5e11;
    if (!sy_pace_create(&program->pace, dispatches, program->count, most, rate, device->submit_seconds))
        return sy_fail(device->ctx, SY_NOMEM, "out of host memory for program '%s' of %zu dispatches", program->name,
                       program->count);
    if (backend->submission_dispatches == 0) // computed while being submitted
        sy_pace_whole(&program->pace);
    return backend->program_cut != NULL ? backend->program_cut(program) : SY_OK;
}

enum sy_status sy_program_create(struct sy_device *device, const char *name, const struct sy_dispatch *dispatches,
                                 size_t count, struct sy_program **out_program)
{
    SY_TRY(sy_device_usable(device));
    SY_TRY(check_program(device, name, dispatches, count));
    size_t waves = 0;
    SY_TRY(count_waves(device, dispatches, count, &waves));
    struct sy_dispatch *labelled = label_dispatches(dispatches, count);
    char *copy = strdup(name);
    struct sy_program *program = NULL;
    enum sy_status status = SY_NOMEM;
    if (labelled == NULL || copy == NULL)
        sy_fail(device->ctx, SY_NOMEM, "out of host memory for program '%s' of %zu dispatches", name, count);
    else
        status = device->backend->program_create(device, labelled, count, &program);
    if (status != SY_OK) {
        free(labelled);
        free(copy);
        return status;
    }
    program->device = device;
    program->name = copy;
    program->count = count;
    program->waves = waves;
    ++device->program_count;
    status = first_cut(program, labelled);
    free(labelled);
    if (status != SY_OK)
        sy_program_destroy(&program);
    else
        *out_program = program;
    return status;
}

void sy_program_destroy(struct sy_program **program)
{
    if (program == NULL || *program == NULL)
        return;
    struct sy_program *p = *program;
    struct sy_device *device = p->device;
    struct sy_pace pace = p->pace;
    char *name = p->name;
    --device->program_count;
    device->backend->program_destroy(p);
    sy_pace_destroy(&pace);
    free(name);
    *program = NULL;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/// One submission at a time, each alone on the device.
static enum sy_status submit_measured(struct sy_program *program)
{
    struct sy_device *device = program->device;
    const struct sy_backend *backend = device->backend;
    struct sy_pace *pace = &program->pace;
    bool cut = false;
    SY_TRY(backend->wait(device));
    for (size_t s = 0; s < pace->cuts; ++s) {
        const double from = now();
        SY_TRY(backend->program_submit(program, s, 1));
        SY_TRY(backend->wait(device));
        pace->list[s].seconds = now() - from;
    }
    if (!sy_pace_measured(pace, now(), &cut))
        return sy_fail(device->ctx, SY_NOMEM, "out of host memory for the submissions of program '%s'", program->name);
    return cut && backend->program_cut != NULL ? backend->program_cut(program) : SY_OK;
}

enum sy_status sy_program_submit(struct sy_program *program)
{
    SY_TRY(sy_device_usable(program->device));
    if (sy_pace_due(&program->pace, now()))
        return submit_measured(program);
    return program->device->backend->program_submit(program, 0, program->pace.cuts);
}

enum sy_status sy_program_profile(struct sy_program *program, uint64_t *out_ns)
{
    SY_TRY(sy_device_usable(program->device));
    if (out_ns == NULL)
        return sy_fail(program->device->ctx, SY_INVALID, "profiling program '%s': out_ns is NULL", program->name);
    return program->device->backend->program_profile(program, out_ns);
}
