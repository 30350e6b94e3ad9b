// SPDX-License-Identifier: Apache-2.0
// opencl/device.c: opens a device of the installable-client-driver loader: one context, one in-order queue.
#include "hostlib/opencl/survey.h"

#include <stdlib.h>

static enum sy_status list_devices(struct sy_ctx *ctx, struct sy_caps **list, size_t *count)
{
    struct sy_cl_found *found = NULL;
    size_t n = 0;
    SY_TRY(sy_cl_find(ctx, &found, &n));
    if (n == 0)
        return SY_OK;
    struct sy_caps *grown = realloc(*list, (*count + n) * sizeof **list);
    if (grown == NULL) {
        free(found);
        return sy_fail(ctx, SY_NOMEM, "out of host memory listing OpenCL devices");
    }
    for (size_t i = 0; i < n; ++i)
        sy_cl_fill_caps(&found[i], &grown[(*count)++]);
    *list = grown;
    free(found);
    return SY_OK;
}

static void close_device(struct sy_device *base)
{
    struct sy_cl_device *device = (struct sy_cl_device *)base;
    if (device->profiling != NULL)
        clReleaseCommandQueue(device->profiling);
    if (device->queue != NULL) {
        sy_cl_staging_destroy(device);
        clReleaseCommandQueue(device->queue);
    }
    if (device->context != NULL)
        clReleaseContext(device->context);
    free(device);
}

static enum sy_status open_queue(struct sy_ctx *ctx, struct sy_cl_device *device)
{
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)device->platform, 0};
    const char *step = "clCreateContext";
    cl_int error = CL_SUCCESS;
    device->context = clCreateContext(properties, 1, &device->id, NULL, NULL, &error);
    if (error == CL_SUCCESS) {
        step = "clCreateCommandQueue";
        device->queue = clCreateCommandQueue(device->context, device->id, 0, &error);
    }
    if (error != CL_SUCCESS)
        return sy_fail(ctx, SY_DEVICE, "opening the OpenCL device \"%s\": %s: %s (%d); check its driver",
                       device->base.caps.name, step, sy_cl_error_name(error), error);
    return sy_cl_staging_create(device);
}

static enum sy_status open_found(struct sy_ctx *ctx, const struct sy_cl_found *found, struct sy_device **out)
{
    struct sy_cl_device *device = calloc(1, sizeof *device);
    if (device == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory opening an OpenCL device");
    device->base.ctx = ctx;
    device->platform = found->platform;
    device->id = found->device;
    device->no_fma = !sy_cl_has_fma(found);
    sy_cl_fill_caps(found, &device->base.caps);
    const char *missing = sy_cl_missing(found);
    enum sy_status status = SY_OK;
    if (missing != NULL)
        status = sy_fail(ctx, SY_UNSUPPORTED, "the OpenCL device \"%s\" lacks %s; choose another device",
                         device->base.caps.name, missing);
    else
        status = open_queue(ctx, device);
    if (status != SY_OK) {
        close_device(&device->base);
        return status;
    }
    *out = &device->base;
    return SY_OK;
}

static enum sy_status open_device(struct sy_ctx *ctx, uint32_t index, struct sy_device **out)
{
    struct sy_cl_found *found = NULL;
    size_t n = 0;
    SY_TRY(sy_cl_find(ctx, &found, &n));
    enum sy_status status;
    if (index < n)
        status = open_found(ctx, &found[index], out);
    else
        status = sy_fail(ctx, SY_INVALID, "opencl:%u: there are %zu OpenCL devices now", index, n);
    free(found);
    return status;
}

enum sy_status sy_cl_finish(struct sy_cl_device *device, const char *what)
{
    cl_int error = clFinish(device->queue);
    if (error != CL_SUCCESS)
        return sy_cl_lost(device, error, "%s", what);
    return SY_OK;
}

static enum sy_status wait_device(struct sy_device *device)
{
    return sy_cl_finish((struct sy_cl_device *)device, "waiting for submitted work");
}

const struct sy_backend sy_backend_opencl = {
    .id = SY_BACKEND_OPENCL,
    .list = list_devices,
    .open = open_device,
    .close = close_device,
    .wait = wait_device,
    .buffer_create = sy_cl_buffer_create,
    .buffer_destroy = sy_cl_buffer_destroy,
    .buffer_write = sy_cl_buffer_write,
    .buffer_read = sy_cl_buffer_read,
    .buffer_read_start = sy_cl_buffer_read_start,
    .buffer_copy = sy_cl_buffer_copy,
    .buffer_zero = sy_cl_buffer_zero,
    .event_wait = sy_cl_event_wait,
    .event_done = sy_cl_event_done,
    .event_destroy = sy_cl_event_destroy,
    .kernel_create = sy_cl_kernel_create,
    .kernel_destroy = sy_cl_kernel_destroy,
    .kernel_mark = sy_cl_kernel_mark,
    .kernel_finish = sy_cl_kernel_finish,
    .kernel_statistics = sy_cl_kernel_statistics,
    .program_create = sy_cl_program_create,
    .program_destroy = sy_cl_program_destroy,
    .submission_dispatches = SY_CL_SUBMISSION_DISPATCHES,
    .program_submit = sy_cl_program_submit,
    .program_profile = sy_cl_program_profile,
};
