// SPDX-License-Identifier: Apache-2.0
// opencl/staging.c: a ring of pinned host memory. Sources of writes are copied there, so that neither the host waits
// for the queue nor the caller's memory has to outlive the call.
#include "hostlib/opencl/opencl.h"

#include <string.h>

// Memory of the driver's own choice, mapped once: drivers of GPUs pin it and copy from it without another copy.
enum sy_status sy_cl_staging_create(struct sy_cl_device *device)
{
    struct sy_cl_staging *s = &device->staging;
    const cl_map_flags flags = CL_MAP_WRITE_INVALIDATE_REGION;
    cl_int error = CL_SUCCESS;
    s->memory = clCreateBuffer(device->context, CL_MEM_ALLOC_HOST_PTR, SY_RING_BYTES, NULL, &error);
    if (error == CL_SUCCESS)
        s->map = clEnqueueMapBuffer(device->queue, s->memory, CL_TRUE, flags, 0, SY_RING_BYTES, 0, NULL, NULL, &error);
    if (error != CL_SUCCESS)
        return sy_fail(device->base.ctx, sy_cl_is_nomem(error) ? SY_NOMEM : SY_DEVICE,
                       "opening the OpenCL device \"%s\": %u MiB of staging memory: %s (%d); check its driver",
                       device->base.caps.name, (unsigned)(SY_RING_BYTES >> 20), sy_cl_error_name(error), error);
    return SY_OK;
}

void sy_cl_staging_destroy(struct sy_cl_device *device)
{
    struct sy_cl_staging *s = &device->staging;
    for (size_t i = 0; i < SY_RING_PIECES; ++i)
        if (s->written[i] != NULL)
            clReleaseEvent(s->written[i]);
    if (s->map != NULL && clEnqueueUnmapMemObject(device->queue, s->memory, s->map, 0, NULL, NULL) == CL_SUCCESS)
        clFinish(device->queue);
    if (s->memory != NULL)
        clReleaseMemObject(s->memory);
}

// The queue is in order, so the oldest piece is the first to be free.
static enum sy_status give_oldest(struct sy_cl_device *device)
{
    struct sy_cl_staging *s = &device->staging;
    cl_event *written = &s->written[s->ring.oldest];
    if (*written != NULL) { // NULL: its write was refused
        const cl_int error = clWaitForEvents(1, written);
        if (error != CL_SUCCESS)
            return sy_cl_lost(device, error, "waiting for an earlier write");
        clReleaseEvent(*written);
        *written = NULL;
    }
    sy_ring_give(&s->ring);
    return SY_OK;
}

enum sy_status sy_cl_staging_write(struct sy_buffer *buffer, uint64_t offset, const unsigned char *source,
                                   uint64_t bytes)
{
    struct sy_cl_device *device = (struct sy_cl_device *)buffer->device;
    struct sy_cl_staging *s = &device->staging;
    const cl_mem memory = ((const struct sy_cl_buffer *)buffer)->memory;
    for (uint64_t done = 0, piece; done < bytes; done += piece) {
        piece = bytes - done < SY_RING_PIECE_BYTES ? bytes - done : SY_RING_PIECE_BYTES;
        uint32_t slot = 0;
        while (!sy_ring_take(&s->ring, piece, &slot))
            SY_TRY(give_oldest(device));
        unsigned char *copy = s->map + s->ring.start[slot];
        memcpy(copy, source + done, (size_t)piece);
        const cl_int error = clEnqueueWriteBuffer(device->queue, memory, CL_FALSE, (size_t)(offset + done),
                                                  (size_t)piece, copy, 0, NULL, &s->written[slot]);
        if (error != CL_SUCCESS)
            return sy_cl_lost(device, error, "writing buffer '%s'", buffer->name);
    }
    return SY_OK;
}
