// SPDX-License-Identifier: Apache-2.0
// opencl/event.c: reads under way. The driver copies straight to the destination.
#include <stdlib.h>

#include "hostlib/opencl/opencl.h"

static struct sy_cl_device *device_of(const struct sy_event *event) { return (struct sy_cl_device *)event->device; }

enum sy_status sy_cl_buffer_read_start(struct sy_buffer *buffer, uint64_t offset, void *destination, uint64_t bytes,
                                       struct sy_event **out)
{
    struct sy_cl_device *device = (struct sy_cl_device *)buffer->device;
    struct sy_cl_event *event = calloc(1, sizeof *event);
    if (event == NULL)
        return sy_fail(device->base.ctx, SY_NOMEM, "out of host memory reading buffer '%s'", buffer->name);
    cl_int error = clEnqueueReadBuffer(device->queue, ((const struct sy_cl_buffer *)buffer)->memory, CL_FALSE,
                                       (size_t)offset, (size_t)bytes, destination, 0, NULL, &event->handle);
    if (error == CL_SUCCESS)
        error = clFlush(device->queue); // whoever only polls would wait for ever
    if (error != CL_SUCCESS) {
        sy_cl_event_destroy(&event->base);
        return sy_cl_lost(device, error, "reading buffer '%s'", buffer->name);
    }
    *out = &event->base;
    return SY_OK;
}

enum sy_status sy_cl_event_wait(struct sy_event *event)
{
    const cl_int error = clWaitForEvents(1, &((struct sy_cl_event *)event)->handle);
    return error == CL_SUCCESS ? SY_OK : sy_cl_lost(device_of(event), error, "waiting for a read");
}

enum sy_status sy_cl_event_done(struct sy_event *event, bool *out)
{
    cl_int state = CL_QUEUED;
    const cl_int error = clGetEventInfo(((struct sy_cl_event *)event)->handle, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                        sizeof state, &state, NULL);
    if (error != CL_SUCCESS || state < 0)
        return sy_cl_lost(device_of(event), error != CL_SUCCESS ? error : state, "asking for a read");
    *out = state == CL_COMPLETE;
    return *out ? sy_cl_event_wait(event) : SY_OK; // only waiting makes what was read visible
}

void sy_cl_event_destroy(struct sy_event *base)
{
    struct sy_cl_event *event = (struct sy_cl_event *)base;
    if (event->handle != NULL)
        clReleaseEvent(event->handle);
    free(event);
}
