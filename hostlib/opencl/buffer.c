// SPDX-License-Identifier: Apache-2.0
// opencl/buffer.c: buffers as cl_mem, and copies through the one in-order queue.
#include "hostlib/opencl/opencl.h"

#include <stdint.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "hostlib/quirk.h"

static struct sy_cl_device *device_of(const struct sy_buffer *buffer) { return (struct sy_cl_device *)buffer->device; }

static cl_mem memory_of(const struct sy_buffer *buffer) { return ((const struct sy_cl_buffer *)buffer)->memory; }

static cl_int write_zeros(struct sy_cl_device *device, cl_mem memory, uint64_t offset, uint64_t bytes)
{
    static const unsigned char zeros[4096];
    cl_int error = CL_SUCCESS;
    for (uint64_t end = offset + bytes; offset < end && error == CL_SUCCESS; offset += sizeof zeros) {
        const size_t n = end - offset < sizeof zeros ? (size_t)(end - offset) : sizeof zeros;
        error = clEnqueueWriteBuffer(device->queue, memory, CL_TRUE, (size_t)offset, n, zeros, 0, NULL, NULL);
    }
    return error;
}

static cl_int fill_zero(struct sy_cl_device *device, cl_mem memory, uint64_t offset, uint64_t bytes)
{
    if (sy_has_quirk(&device->base.caps, SY_QUIRK_WRITE_ZEROS))
        return write_zeros(device, memory, offset, bytes);
    const cl_uint zero = 0;
    const cl_int error =
        clEnqueueFillBuffer(device->queue, memory, &zero, sizeof zero, (size_t)offset, (size_t)bytes, 0, NULL, NULL);
    return error == CL_SUCCESS && sy_has_quirk(&device->base.caps, SY_QUIRK_DRAIN_FILL) ? clFinish(device->queue)
                                                                                        : error;
}

// A CPU walks its page tables for every 4 KiB of a large buffer. Asked for before the first touch, which is the fill;
// where there are no huge pages nothing changes.
static void ask_for_huge_pages(struct sy_cl_device *device, cl_mem memory, uint64_t bytes)
{
#ifdef MADV_HUGEPAGE
    enum { HUGE = 2 << 20, LEAST = 8 << 20 };
    if (device->base.caps.device_class != SY_CLASS_CPU || !device->base.caps.unified_memory || bytes < LEAST)
        return;
    cl_int error = CL_SUCCESS;
    void *map = clEnqueueMapBuffer(device->queue, memory, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0, (size_t)bytes, 0,
                                   NULL, NULL, &error);
    if (error != CL_SUCCESS || map == NULL)
        return;
    const size_t skip = (size_t)(-(uintptr_t)map & (HUGE - 1));
    (void)madvise((char *)map + skip, ((size_t)bytes - skip) & ~(size_t)(HUGE - 1), MADV_HUGEPAGE);
    (void)clEnqueueUnmapMemObject(device->queue, memory, map, 0, NULL, NULL);
#else
    (void)device, (void)memory, (void)bytes;
#endif
}

// Many drivers allocate on first use only, so the first fill counts as part of the allocation.
enum sy_status sy_cl_buffer_create(struct sy_device *base, uint64_t bytes, struct sy_buffer **out)
{
    struct sy_cl_device *device = (struct sy_cl_device *)base;
    struct sy_cl_buffer *buffer = calloc(1, sizeof *buffer);
    if (buffer == NULL)
        return SY_NOMEM; // buffer.c words the message
    // On a unified device this is memory that both sides reach without a copy.
    const cl_mem_flags host = base->caps.unified_memory ? CL_MEM_ALLOC_HOST_PTR : 0;
    cl_int error = CL_SUCCESS;
    buffer->memory = clCreateBuffer(device->context, CL_MEM_READ_WRITE | host, (size_t)bytes, NULL, &error);
    if (error == CL_SUCCESS) {
        ask_for_huge_pages(device, buffer->memory, bytes);
        error = fill_zero(device, buffer->memory, 0, bytes);
        if (error != CL_SUCCESS)
            clReleaseMemObject(buffer->memory);
    }
    if (error == CL_SUCCESS) {
        *out = &buffer->base;
        return SY_OK;
    }
    free(buffer);
    sy_log(base->ctx, SY_LOG_DEBUG, "%s: clCreateBuffer: %s (%d)", base->caps.id, sy_cl_error_name(error), error);
    if (sy_cl_is_nomem(error))
        return SY_NOMEM;
    return sy_cl_lost(device, error, "allocating a buffer of %llu bytes", (unsigned long long)bytes);
}

void sy_cl_buffer_destroy(struct sy_buffer *buffer)
{
    sy_cl_views_release((struct sy_cl_buffer *)buffer);
    clReleaseMemObject(memory_of(buffer));
    free(buffer);
}

// What is longer than the ring would wait for it in any case: then it is copied once only.
enum sy_status sy_cl_buffer_write(struct sy_buffer *buffer, uint64_t offset, const void *source, uint64_t bytes)
{
    if (bytes <= SY_RING_BYTES)
        return sy_cl_staging_write(buffer, offset, source, bytes);
    struct sy_cl_device *device = device_of(buffer);
    cl_int error = clEnqueueWriteBuffer(device->queue, memory_of(buffer), CL_TRUE, (size_t)offset, (size_t)bytes,
                                        source, 0, NULL, NULL);
    if (error != CL_SUCCESS)
        return sy_cl_lost(device, error, "writing buffer '%s'", buffer->name);
    return SY_OK;
}

enum sy_status sy_cl_buffer_read(struct sy_buffer *buffer, uint64_t offset, void *destination, uint64_t bytes)
{
    struct sy_cl_device *device = device_of(buffer);
    cl_int error = clEnqueueReadBuffer(device->queue, memory_of(buffer), CL_TRUE, (size_t)offset, (size_t)bytes,
                                       destination, 0, NULL, NULL);
    if (error != CL_SUCCESS)
        return sy_cl_lost(device, error, "reading buffer '%s'", buffer->name);
    return SY_OK;
}

enum sy_status sy_cl_buffer_zero(struct sy_buffer *buffer, uint64_t offset, uint64_t bytes)
{
    cl_int error = fill_zero(device_of(buffer), memory_of(buffer), offset, bytes);
    if (error != CL_SUCCESS)
        return sy_cl_lost(device_of(buffer), error, "zeroing buffer '%s'", buffer->name);
    return SY_OK;
}

enum sy_status sy_cl_buffer_copy(struct sy_buffer *source, uint64_t source_offset, struct sy_buffer *target,
                                 uint64_t target_offset, uint64_t bytes)
{
    const cl_int error =
        clEnqueueCopyBuffer(device_of(source)->queue, memory_of(source), memory_of(target), (size_t)source_offset,
                            (size_t)target_offset, (size_t)bytes, 0, NULL, NULL);
    if (error != CL_SUCCESS)
        return sy_cl_lost(device_of(source), error, "copying buffer '%s' to '%s'", source->name, target->name);
    return SY_OK;
}
