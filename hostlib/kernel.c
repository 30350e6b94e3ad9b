// SPDX-License-Identifier: Apache-2.0
// kernel.c: the validator: every kernel and every dispatch is checked here once, for all backends, before a
// driver sees it. Backends and drivers then need not be trusted with wrong arguments.
#include "hostlib/check.h"
#include "hostlib/hazards.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- kernels ---------------------------------------------------------------------------------------------------

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

enum sy_status sy_kernel_create(struct sy_device *device, const struct sy_kernel_params *params,
                                struct sy_kernel **out_kernel)
{
    SY_TRY(sy_device_usable(device));
    SY_TRY(check_kernel_shape(device, params));
    SY_TRY(check_kernel_limits(device, params));
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
    ++device->kernel_count;
    *out_kernel = kernel;
    return SY_OK;
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
    free(labelled);
    if (status != SY_OK) {
        free(copy);
        return status;
    }
    program->device = device;
    program->name = copy;
    program->count = count;
    program->waves = waves;
    ++device->program_count;
    *out_program = program;
    return SY_OK;
}

void sy_program_destroy(struct sy_program **program)
{
    if (program == NULL || *program == NULL)
        return;
    struct sy_device *device = (*program)->device;
    char *name = (*program)->name;
    --device->program_count;
    device->backend->program_destroy(*program);
    free(name);
    *program = NULL;
}

enum sy_status sy_program_submit(struct sy_program *program)
{
    SY_TRY(sy_device_usable(program->device));
    return program->device->backend->program_submit(program);
}

enum sy_status sy_program_profile(struct sy_program *program, uint64_t *out_ns)
{
    SY_TRY(sy_device_usable(program->device));
    if (out_ns == NULL)
        return sy_fail(program->device->ctx, SY_INVALID, "profiling program '%s': out_ns is NULL", program->name);
    return program->device->backend->program_profile(program, out_ns);
}
