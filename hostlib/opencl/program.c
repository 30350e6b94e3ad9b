// SPDX-License-Identifier: Apache-2.0
// opencl/program.c: recorded dispatches. Each has a cl_kernel of its own with every argument set once, so that
// replaying costs one enqueue per dispatch and nothing else.
#include "hostlib/opencl/opencl.h"

#include <stdlib.h>
#include <string.h>

// A submission ends with a flush: it starts the device early without paying for one per dispatch.

struct recorded {
    cl_kernel kernel;
    size_t global, local;
    const char *label;
};

struct sy_cl_program {
    struct sy_program base;
    struct recorded *recorded;
    size_t recorded_count;
};

static struct sy_cl_program *from_base(struct sy_program *program) { return (struct sy_cl_program *)program; }

// ---- recording -------------------------------------------------------------------------------------------------

static enum sy_status fail_record(struct sy_device *device, const struct sy_dispatch *dispatch, const char *step,
                                  uint32_t index, cl_int error)
{
    return sy_fail(device->ctx, sy_cl_is_nomem(error) ? SY_NOMEM : SY_DEVICE,
                   "recording '%s' (kernel %s) on %s: %s %u: %s (%d)", dispatch->label,
                   dispatch->kernel->params.source.name, device->caps.id, step, index, sy_cl_error_name(error), error);
}

static enum sy_status record(struct sy_device *device, struct sy_cl_program *program,
                             const struct sy_dispatch *dispatch)
{
    const struct sy_kernel_params *params = &dispatch->kernel->params;
    struct recorded *r = &program->recorded[program->recorded_count];
    cl_int error = CL_SUCCESS;
    r->kernel = clCreateKernel(((const struct sy_cl_kernel *)dispatch->kernel)->program, params->source.name, &error);
    if (error != CL_SUCCESS)
        return fail_record(device, dispatch, "clCreateKernel of dispatch", (uint32_t)program->recorded_count, error);
    ++program->recorded_count;
    r->local = params->wg;
    r->global = (size_t)dispatch->groups * params->wg;
    r->label = dispatch->label;
    for (uint32_t i = 0; i < params->binding_count; ++i) {
        cl_mem memory = NULL;
        const struct sy_binding *binding = &dispatch->bindings[i];
        error = sy_cl_view((struct sy_cl_buffer *)binding->buffer, (size_t)binding->offset_bytes,
                           (size_t)binding->bytes, &memory);
        if (error == CL_SUCCESS)
            error = clSetKernelArg(r->kernel, i, sizeof memory, &memory);
        if (error != CL_SUCCESS)
            return fail_record(device, dispatch, "binding", i, error);
    }
    error = clSetKernelArg(r->kernel, params->binding_count, params->args_bytes, dispatch->args);
    if (error != CL_SUCCESS)
        return fail_record(device, dispatch, "argument struct, parameter", params->binding_count, error);
    return SY_OK;
}

enum sy_status sy_cl_program_create(struct sy_device *device, const struct sy_dispatch *dispatches, size_t count,
                                    struct sy_program **out)
{
    struct sy_cl_program *program = calloc(1, sizeof *program);
    if (program == NULL)
        return sy_fail(device->ctx, SY_NOMEM, "out of host memory for a program of %zu dispatches", count);
    program->recorded = calloc(count, sizeof *program->recorded);
    enum sy_status status = SY_OK;
    if (program->recorded == NULL)
        status = sy_fail(device->ctx, SY_NOMEM, "out of host memory for a program of %zu dispatches", count);
    for (size_t i = 0; i < count && status == SY_OK; ++i)
        status = record(device, program, &dispatches[i]);
    if (status != SY_OK) {
        sy_cl_program_destroy(&program->base);
        return status;
    }
    *out = &program->base;
    return SY_OK;
}

void sy_cl_program_destroy(struct sy_program *base)
{
    struct sy_cl_program *program = from_base(base);
    for (size_t i = 0; i < program->recorded_count; ++i)
        clReleaseKernel(program->recorded[i].kernel);
    free(program->recorded);
    free(program);
}

// ---- running ---------------------------------------------------------------------------------------------------

/// Dispatch `i` of a submission.
static enum sy_status enqueue(struct sy_program *base, const struct sy_submission *submission, size_t i,
                              cl_command_queue queue, cl_event *event)
{
    struct sy_cl_device *device = (struct sy_cl_device *)base->device;
    const struct recorded *r = &from_base(base)->recorded[i];
    uint64_t first, end;
    sy_pace_share(submission, r->global / r->local, &first, &end);
    const size_t offset = (size_t)first * r->local, global = (size_t)(end - first) * r->local;
    cl_int error =
        clEnqueueNDRangeKernel(queue, r->kernel, 1, first == 0 ? NULL : &offset, &global, &r->local, 0, NULL, event);
    if (error != CL_SUCCESS)
        return sy_cl_lost(device, error, "program '%s', dispatch %zu '%s' (%zu items in groups of %zu)", base->name, i,
                          r->label, global, r->local);
    return SY_OK;
}

enum sy_status sy_cl_program_submit(struct sy_program *program, size_t first, size_t count)
{
    struct sy_cl_device *device = (struct sy_cl_device *)program->device;
    for (size_t s = first; s < first + count; ++s) {
        const struct sy_submission *submission = &program->pace.list[s];
        for (size_t i = submission->first; i < submission->end; ++i)
            SY_TRY(enqueue(program, submission, i, device->queue, NULL));
        const cl_int error = clFlush(device->queue);
        if (error != CL_SUCCESS)
            return sy_cl_lost(device, error, "program '%s', submission %zu of %zu", program->name, s + 1,
                              program->pace.cuts);
    }
    return SY_OK;
}

static enum sy_status make_profiling_queue(struct sy_cl_device *device)
{
    if (device->profiling != NULL)
        return SY_OK;
    cl_int error = CL_SUCCESS;
    cl_command_queue queue = clCreateCommandQueue(device->context, device->id, CL_QUEUE_PROFILING_ENABLE, &error);
    if (error != CL_SUCCESS)
        return sy_fail(device->base.ctx, SY_UNSUPPORTED, "%s (%s) cannot measure times: %s (%d)", device->base.caps.id,
                       device->base.caps.name, sy_cl_error_name(error), error);
    device->profiling = queue;
    return SY_OK;
}

static enum sy_status profile_batch(struct sy_program *program, const struct sy_submission *batch, uint64_t *out_ns)
{
    struct sy_cl_device *device = (struct sy_cl_device *)program->device;
    const size_t first = batch->first, count = batch->end - first;
    cl_event events[SY_CL_SUBMISSION_DISPATCHES] = {NULL};
    enum sy_status status = SY_OK;
    for (size_t i = 0; i < count && status == SY_OK; ++i)
        status = enqueue(program, batch, first + i, device->profiling, &events[i]);
    cl_int error = clFinish(device->profiling);
    for (size_t i = 0; i < count && status == SY_OK; ++i) {
        cl_ulong start = 0, end = 0;
        if (error == CL_SUCCESS)
            error = clGetEventProfilingInfo(events[i], CL_PROFILING_COMMAND_START, sizeof start, &start, NULL);
        if (error == CL_SUCCESS)
            error = clGetEventProfilingInfo(events[i], CL_PROFILING_COMMAND_END, sizeof end, &end, NULL);
        if (error != CL_SUCCESS)
            status = sy_cl_lost(device, error, "profiling program '%s', dispatch %zu", program->name, first + i);
        out_ns[first + i] += end > start ? end - start : 0;
    }
    for (size_t i = 0; i < count; ++i)
        if (events[i] != NULL)
            clReleaseEvent(events[i]);
    return status;
}

// Two queues are not ordered with each other, so each is drained before the other is used.
enum sy_status sy_cl_program_profile(struct sy_program *program, uint64_t *out_ns)
{
    struct sy_cl_device *device = (struct sy_cl_device *)program->device;
    SY_TRY(make_profiling_queue(device));
    SY_TRY(sy_cl_finish(device, "finishing earlier work before a profile"));
    memset(out_ns, 0, program->count * sizeof *out_ns);
    for (size_t s = 0; s < program->pace.cuts; ++s)
        SY_TRY(profile_batch(program, &program->pace.list[s], out_ns));
    return SY_OK;
}
