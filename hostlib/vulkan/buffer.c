// SPDX-License-Identifier: Apache-2.0
// vulkan/buffer.c: buffers, mapped where host and device share memory.
#include "hostlib/vulkan/vulkan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum sy_status sy_vk_buffer_create(struct sy_device *base, uint64_t bytes, struct sy_buffer **out)
{
    struct sy_vk_device *device = (struct sy_vk_device *)base;
    struct sy_vk_buffer *buffer = calloc(1, sizeof *buffer);
    if (buffer == NULL)
        return SY_NOMEM; // buffer.c words the message
    buffer->base.device = base;
    buffer->base.bytes = bytes;
    const VkBufferUsageFlags usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT |
                                     VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    const VkResult result = sy_vk_memory_create(device, bytes, usage, &device->survey.buffer_types,
                                                device->survey.mapped, &buffer->handle, &buffer->memory);
    enum sy_status status = SY_NOMEM;
    if (result == VK_SUCCESS)
        status = sy_vk_buffer_zero(&buffer->base, 0, bytes);
    else if (result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY)
        sy_log(base->ctx, SY_LOG_DEBUG, "%s: allocating %" PRIu64 " bytes: %s", base->caps.id, bytes,
               sy_vk_result_name(result)); // buffer.c words the message
    else
        status = sy_vk_fail(device, result, "allocating %" PRIu64 " bytes", bytes);
    if (status != SY_OK) {
        sy_vk_buffer_destroy(&buffer->base);
        return status;
    }
    *out = &buffer->base;
    return SY_OK;
}

void sy_vk_buffer_destroy(struct sy_buffer *base)
{
    struct sy_vk_buffer *buffer = (struct sy_vk_buffer *)base;
    struct sy_vk_device *device = (struct sy_vk_device *)base->device;
    sy_vk_drain(device, buffer->last_use); // its own fills and copies may still be queued
    sy_vk_memory_destroy(device, &buffer->handle, &buffer->memory);
    free(buffer);
}

// Where the host reaches the memory and nothing queued uses the buffer, the shortest way is a memcpy; elsewhere the
// copy takes its turn in the queue.
enum sy_status sy_vk_buffer_write(struct sy_buffer *base, uint64_t offset, const void *source, uint64_t bytes)
{
    struct sy_vk_buffer *buffer = (struct sy_vk_buffer *)base;
    struct sy_vk_device *device = (struct sy_vk_device *)base->device;
    bool idle = false;
    if (buffer->memory.map != NULL)
        SY_TRY(sy_vk_reached(device, buffer->last_use, &idle));
    if (!idle)
        return sy_vk_ring_write(buffer, offset, source, bytes);
    memcpy(buffer->memory.map + offset, source, bytes);
    return sy_vk_memory_flush(device, &buffer->memory, offset, bytes);
}

enum sy_status sy_vk_buffer_read(struct sy_buffer *base, uint64_t offset, void *destination, uint64_t bytes)
{
    struct sy_vk_buffer *buffer = (struct sy_vk_buffer *)base;
    struct sy_vk_device *device = (struct sy_vk_device *)base->device;
    if (buffer->memory.map == NULL) {
        SY_TRY(sy_vk_ring_read(buffer, offset, destination, bytes));
        return sy_vk_ring_wait(device, device->submitted);
    }
    SY_TRY(sy_vk_wait(device, buffer->last_write));
    SY_TRY(sy_vk_memory_invalidate(device, &buffer->memory, offset, bytes));
    memcpy(destination, buffer->memory.map + offset, bytes);
    return SY_OK;
}

enum sy_status sy_vk_buffer_zero(struct sy_buffer *base, uint64_t offset, uint64_t bytes)
{
    struct sy_vk_buffer *buffer = (struct sy_vk_buffer *)base;
    struct sy_vk_device *device = (struct sy_vk_device *)base->device;
    uint32_t slot;
    SY_TRY(sy_vk_ring_begin(device, 0, &slot));
    vkCmdFillBuffer(device->ring.pieces[slot].commands, buffer->handle, offset, bytes, 0);
    SY_TRY(sy_vk_ring_end(device, slot));
    buffer->last_use = buffer->last_write = device->submitted;
    return SY_OK;
}

enum sy_status sy_vk_buffer_copy(struct sy_buffer *base, uint64_t source_offset, struct sy_buffer *target_base,
                                 uint64_t target_offset, uint64_t bytes)
{
    struct sy_vk_device *device = (struct sy_vk_device *)base->device;
    struct sy_vk_buffer *source = (struct sy_vk_buffer *)base, *target = (struct sy_vk_buffer *)target_base;
    uint32_t slot;
    SY_TRY(sy_vk_ring_begin(device, 0, &slot));
    const VkBufferCopy copy = {.srcOffset = source_offset, .dstOffset = target_offset, .size = bytes};
    vkCmdCopyBuffer(device->ring.pieces[slot].commands, source->handle, target->handle, 1, &copy);
    SY_TRY(sy_vk_ring_end(device, slot));
    source->last_use = target->last_use = target->last_write = device->submitted;
    return SY_OK;
}

// ---- reads under way ------------------------------------------------------------------------------------------------

struct read {
    struct sy_event base;
    uint64_t value; ///< Of the last piece's submission.
};

// Through the ring even where the host reaches the buffer: what is submitted next may write to it.
enum sy_status sy_vk_buffer_read_start(struct sy_buffer *base, uint64_t offset, void *destination, uint64_t bytes,
                                       struct sy_event **out)
{
    struct sy_vk_device *device = (struct sy_vk_device *)base->device;
    struct read *read = calloc(1, sizeof *read);
    if (read == NULL)
        return sy_fail(base->device->ctx, SY_NOMEM, "%s: no host memory for a read", base->device->caps.id);
    const enum sy_status status = sy_vk_ring_read((struct sy_vk_buffer *)base, offset, destination, bytes);
    if (status != SY_OK) {
        free(read);
        return status;
    }
    read->value = device->submitted;
    *out = &read->base;
    return SY_OK;
}

enum sy_status sy_vk_event_wait(struct sy_event *event)
{
    return sy_vk_ring_wait((struct sy_vk_device *)event->device, ((const struct read *)event)->value);
}

enum sy_status sy_vk_event_done(struct sy_event *event, bool *out)
{
    SY_TRY(sy_vk_reached((struct sy_vk_device *)event->device, ((const struct read *)event)->value, out));
    return *out ? sy_vk_event_wait(event) : SY_OK;
}

void sy_vk_event_destroy(struct sy_event *event) { free(event); }
