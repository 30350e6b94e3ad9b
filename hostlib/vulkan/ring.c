// SPDX-License-Identifier: Apache-2.0
// vulkan/ring.c: copies between host and device in the order of the queue, through a ring of mapped staging memory.
// Every piece has a command buffer; its submission's timeline value says when the piece is free again. The host waits
// only when the ring is full, and then for the oldest piece.
#include "hostlib/vulkan/vulkan.h"

#include <string.h>

#define MIN(a, b) ((a) < (b) ? (a) : (b))

enum sy_status sy_vk_ring_create(struct sy_vk_device *device)
{
    struct sy_vk_ring *ring = &device->ring;
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT | VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
        .queueFamilyIndex = device->survey.queue_family,
    };
    VkResult result = vkCreateCommandPool(device->handle, &pool, NULL, &ring->pool);
    if (result != VK_SUCCESS)
        return sy_vk_fail(device, result, "creating the command pool of the staging ring");
    VkCommandBuffer commands[SY_RING_PIECES];
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = ring->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = SY_RING_PIECES,
    };
    result = vkAllocateCommandBuffers(device->handle, &info, commands);
    if (result != VK_SUCCESS)
        return sy_vk_fail(device, result, "allocating the command buffers of the staging ring");
    for (uint32_t i = 0; i < SY_RING_PIECES; ++i)
        ring->pieces[i].commands = commands[i];
    result =
        sy_vk_memory_create(device, SY_RING_BYTES, VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
                            &device->survey.staging_types, true, &ring->buffer, &ring->memory);
    return result == VK_SUCCESS ? SY_OK : sy_vk_fail(device, result, "allocating the staging ring");
}

void sy_vk_ring_destroy(struct sy_vk_device *device)
{
    sy_vk_memory_destroy(device, &device->ring.buffer, &device->ring.memory);
    vkDestroyCommandPool(device->handle, device->ring.pool, NULL);
    device->ring.pool = VK_NULL_HANDLE;
}

enum sy_status sy_vk_ring_wait(struct sy_vk_device *device, uint64_t value)
{
    struct sy_vk_ring *ring = &device->ring;
    SY_TRY(sy_vk_wait(device, value));
    while (ring->places.count > 0) {
        const uint32_t slot = ring->places.oldest;
        const struct sy_vk_piece *piece = &ring->pieces[slot];
        const uint64_t at = ring->places.start[slot];
        if (piece->value > value)
            break;
        if (piece->destination != NULL) {
            SY_TRY(sy_vk_memory_invalidate(device, &ring->memory, at, piece->bytes));
            memcpy(piece->destination, ring->memory.map + at, (size_t)piece->bytes);
        }
        sy_ring_give(&ring->places);
    }
    return SY_OK;
}

enum sy_status sy_vk_ring_begin(struct sy_vk_device *device, uint64_t bytes, uint32_t *out_slot)
{
    struct sy_vk_ring *ring = &device->ring;
    uint32_t slot;
    while (!sy_ring_take(&ring->places, bytes, &slot))
        SY_TRY(sy_vk_ring_wait(device, ring->pieces[ring->places.oldest].value));
    struct sy_vk_piece *piece = &ring->pieces[slot];
    piece->value = 0; // free at once if it is never submitted
    piece->destination = NULL;
    piece->bytes = bytes;
    const VkCommandBufferBeginInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    const VkResult result = vkBeginCommandBuffer(piece->commands, &info); // resets it, too
    if (result != VK_SUCCESS)
        return sy_vk_fail(device, result, "recording a copy");
    sy_vk_barrier_begin(piece->commands);
    *out_slot = slot;
    return SY_OK;
}

enum sy_status sy_vk_ring_end(struct sy_vk_device *device, uint32_t slot)
{
    struct sy_vk_piece *piece = &device->ring.pieces[slot];
    sy_vk_barrier_end(piece->commands);
    const VkResult result = vkEndCommandBuffer(piece->commands);
    if (result != VK_SUCCESS)
        return sy_vk_fail(device, result, "recording a copy");
    VkSubmitInfo info;
    VkTimelineSemaphoreSubmitInfo timeline;
    uint64_t value;
    sy_vk_submit_prepare(device, &piece->commands, &info, &timeline, &value);
    SY_TRY(sy_vk_submit(device, &info, &value, 1));
    piece->value = value;
    return SY_OK;
}

enum sy_status sy_vk_ring_write(struct sy_vk_buffer *buffer, uint64_t offset, const uint8_t *source, uint64_t bytes)
{
    struct sy_vk_device *device = (struct sy_vk_device *)buffer->base.device;
    struct sy_vk_ring *ring = &device->ring;
    for (uint64_t done = 0, piece; done < bytes; done += piece) {
        piece = MIN(bytes - done, SY_RING_PIECE_BYTES);
        uint32_t slot;
        SY_TRY(sy_vk_ring_begin(device, piece, &slot));
        const uint64_t at = ring->places.start[slot];
        memcpy(ring->memory.map + at, source + done, (size_t)piece);
        SY_TRY(sy_vk_memory_flush(device, &ring->memory, at, piece));
        const VkBufferCopy copy = {.srcOffset = at, .dstOffset = offset + done, .size = piece};
        vkCmdCopyBuffer(ring->pieces[slot].commands, ring->buffer, buffer->handle, 1, &copy);
        SY_TRY(sy_vk_ring_end(device, slot));
        buffer->last_use = buffer->last_write = device->submitted;
    }
    return SY_OK;
}

static enum sy_status start_read(struct sy_vk_buffer *buffer, uint64_t offset, uint8_t *destination, uint64_t bytes)
{
    struct sy_vk_device *device = (struct sy_vk_device *)buffer->base.device;
    struct sy_vk_ring *ring = &device->ring;
    for (uint64_t done = 0, piece; done < bytes; done += piece) {
        piece = MIN(bytes - done, SY_RING_PIECE_BYTES);
        uint32_t slot;
        SY_TRY(sy_vk_ring_begin(device, piece, &slot));
        const VkBufferCopy copy = {.srcOffset = offset + done, .dstOffset = ring->places.start[slot], .size = piece};
        vkCmdCopyBuffer(ring->pieces[slot].commands, buffer->handle, ring->buffer, 1, &copy);
        SY_TRY(sy_vk_ring_end(device, slot));
        ring->pieces[slot].destination = destination + done;
        buffer->last_use = device->submitted;
    }
    return SY_OK;
}

enum sy_status sy_vk_ring_read(struct sy_vk_buffer *buffer, uint64_t offset, uint8_t *destination, uint64_t bytes)
{
    struct sy_vk_device *device = (struct sy_vk_device *)buffer->base.device;
    const enum sy_status status = start_read(buffer, offset, destination, bytes);
    if (status != SY_OK && !device->base.lost && sy_vk_ring_wait(device, device->submitted) != SY_OK)
        return SY_DEVICE; // `destination` may go after a failure: no piece may keep it
    return status;
}
