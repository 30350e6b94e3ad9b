// SPDX-License-Identifier: Apache-2.0
// buffer.c: device memory. Where host and device share memory a buffer stays mapped and copies are memcpy after
// waiting for whoever uses it; elsewhere they go through a ring of staging slots on the queue.
#include "hostlib/vulkan/vulkan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MIN(a, b) ((a) < (b) ? (a) : (b))

// ---- memory --------------------------------------------------------------------------------------------------------

/// Tries the types in order; a full heap is no error while there is another.
static VkResult allocate(struct sy_vk_device *device, const struct sy_vk_types *types, const VkMemoryRequirements *need,
                         struct sy_vk_memory *out)
{
    const VkPhysicalDeviceMemoryProperties *memory = &device->survey.memory;
    VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (uint32_t i = 0; i < types->count; ++i) {
        const uint32_t type = types->index[i];
        if (!(need->memoryTypeBits & (1u << type)))
            continue;
        const VkMemoryAllocateInfo info = {
            .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = need->size, .memoryTypeIndex = type};
        result = vkAllocateMemory(device->handle, &info, NULL, &out->handle);
        if (result == VK_SUCCESS) {
            out->bytes = need->size;
            out->coherent = memory->memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
            return VK_SUCCESS;
        }
        out->handle = VK_NULL_HANDLE;
        if (result != VK_ERROR_OUT_OF_DEVICE_MEMORY)
            return result;
    }
    return result;
}

static void destroy_memory(struct sy_vk_device *device, VkBuffer *buffer, struct sy_vk_memory *memory)
{
    vkDestroyBuffer(device->handle, *buffer, NULL);
    vkFreeMemory(device->handle, memory->handle, NULL); // unmaps too
    *buffer = VK_NULL_HANDLE;
    memset(memory, 0, sizeof *memory);
}

static VkResult create_memory(struct sy_vk_device *device, VkDeviceSize bytes, VkBufferUsageFlags usage,
                              const struct sy_vk_types *types, bool map, VkBuffer *buffer, struct sy_vk_memory *memory)
{
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes,
        .usage = usage,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    memset(memory, 0, sizeof *memory);
    VkResult result = vkCreateBuffer(device->handle, &info, NULL, buffer);
    if (result != VK_SUCCESS) {
        *buffer = VK_NULL_HANDLE;
        return result;
    }
    VkMemoryRequirements need;
    vkGetBufferMemoryRequirements(device->handle, *buffer, &need);
    result = allocate(device, types, &need, memory);
    if (result == VK_SUCCESS)
        result = vkBindBufferMemory(device->handle, *buffer, memory->handle, 0);
    void *address = NULL;
    if (result == VK_SUCCESS && map)
        result = vkMapMemory(device->handle, memory->handle, 0, VK_WHOLE_SIZE, 0, &address);
    memory->map = address;
    if (result != VK_SUCCESS)
        destroy_memory(device, buffer, memory);
    return result;
}

/// Non-coherent memory is flushed and invalidated in whole atoms.
static VkMappedMemoryRange atoms(const struct sy_vk_device *device, const struct sy_vk_memory *memory, uint64_t offset,
                                 uint64_t bytes)
{
    const uint64_t atom = device->survey.flush_atom;
    const uint64_t first = offset / atom * atom, end = (offset + bytes + atom - 1) / atom * atom;
    return (VkMappedMemoryRange){
        .sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE,
        .memory = memory->handle,
        .offset = first,
        .size = end >= memory->bytes ? VK_WHOLE_SIZE : end - first,
    };
}

static enum sy_status flush(struct sy_vk_device *device, const struct sy_vk_memory *memory, uint64_t offset,
                            uint64_t bytes)
{
    if (memory->coherent)
        return SY_OK;
    const VkMappedMemoryRange range = atoms(device, memory, offset, bytes);
    const VkResult result = vkFlushMappedMemoryRanges(device->handle, 1, &range);
    return result == VK_SUCCESS ? SY_OK : sy_vk_fail(device, result, "making host writes visible");
}

static enum sy_status invalidate(struct sy_vk_device *device, const struct sy_vk_memory *memory, uint64_t offset,
                                 uint64_t bytes)
{
    if (memory->coherent)
        return SY_OK;
    const VkMappedMemoryRange range = atoms(device, memory, offset, bytes);
    const VkResult result = vkInvalidateMappedMemoryRanges(device->handle, 1, &range);
    return result == VK_SUCCESS ? SY_OK : sy_vk_fail(device, result, "making device writes visible");
}

// ---- the ring ------------------------------------------------------------------------------------------------------

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
    VkCommandBuffer commands[SY_VK_RING_SLOTS];
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = ring->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = SY_VK_RING_SLOTS,
    };
    result = vkAllocateCommandBuffers(device->handle, &info, commands);
    if (result != VK_SUCCESS)
        return sy_vk_fail(device, result, "allocating the command buffers of the staging ring");
    for (uint32_t i = 0; i < SY_VK_RING_SLOTS; ++i)
        ring->slots[i].commands = commands[i];
    if (device->survey.mapped)
        return SY_OK; // fills only
    result = create_memory(device, SY_VK_RING_SLOTS * SY_VK_SLOT_BYTES,
                           VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
                           &device->survey.staging_types, true, &ring->buffer, &ring->memory);
    return result == VK_SUCCESS ? SY_OK : sy_vk_fail(device, result, "allocating the staging ring");
}

void sy_vk_ring_destroy(struct sy_vk_device *device)
{
    destroy_memory(device, &device->ring.buffer, &device->ring.memory);
    vkDestroyCommandPool(device->handle, device->ring.pool, NULL);
    device->ring.pool = VK_NULL_HANDLE;
}

/// Takes the oldest slot, waiting for its previous use, and starts recording.
static enum sy_status begin_slot(struct sy_vk_device *device, uint32_t *out_slot)
{
    struct sy_vk_ring *ring = &device->ring;
    const uint32_t slot = ring->next;
    SY_TRY(sy_vk_wait(device, ring->slots[slot].value));
    const VkCommandBufferBeginInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    const VkResult result = vkBeginCommandBuffer(ring->slots[slot].commands, &info); // resets it, too
    if (result != VK_SUCCESS)
        return sy_vk_fail(device, result, "recording a copy");
    sy_vk_barrier_begin(ring->slots[slot].commands);
    ring->next = (slot + 1) % SY_VK_RING_SLOTS;
    *out_slot = slot;
    return SY_OK;
}

static enum sy_status end_slot(struct sy_vk_device *device, uint32_t slot)
{
    VkCommandBuffer commands = device->ring.slots[slot].commands;
    sy_vk_barrier_end(commands);
    const VkResult result = vkEndCommandBuffer(commands);
    if (result != VK_SUCCESS)
        return sy_vk_fail(device, result, "recording a copy");
    VkSubmitInfo info;
    VkTimelineSemaphoreSubmitInfo timeline;
    uint64_t value;
    sy_vk_submit_prepare(device, &commands, &info, &timeline, &value);
    SY_TRY(sy_vk_submit(device, &info, &value, 1));
    device->ring.slots[slot].value = value;
    return SY_OK;
}

static enum sy_status stage_out(struct sy_vk_buffer *buffer, uint64_t offset, const uint8_t *source, uint64_t bytes)
{
    struct sy_vk_device *device = (struct sy_vk_device *)buffer->base.device;
    struct sy_vk_ring *ring = &device->ring;
    for (uint64_t done = 0, piece; done < bytes; done += piece) {
        piece = MIN(bytes - done, SY_VK_SLOT_BYTES);
        uint32_t slot;
        SY_TRY(begin_slot(device, &slot));
        const uint64_t at = slot * SY_VK_SLOT_BYTES;
        memcpy(ring->memory.map + at, source + done, piece);
        SY_TRY(flush(device, &ring->memory, at, piece));
        const VkBufferCopy copy = {.srcOffset = at, .dstOffset = offset + done, .size = piece};
        vkCmdCopyBuffer(ring->slots[slot].commands, ring->buffer, buffer->handle, 1, &copy);
        SY_TRY(end_slot(device, slot));
        buffer->last_use = buffer->last_write = device->submitted;
    }
    return SY_OK;
}

/// Keeps every slot in flight: the device copies ahead while the host empties the oldest one.
static enum sy_status stage_in(struct sy_vk_buffer *buffer, uint64_t offset, uint8_t *destination, uint64_t bytes)
{
    struct sy_vk_device *device = (struct sy_vk_device *)buffer->base.device;
    struct sy_vk_ring *ring = &device->ring;
    uint32_t oldest = ring->next;
    for (uint64_t issued = 0, done = 0; done < bytes;) {
        while (issued < bytes && issued - done < SY_VK_RING_SLOTS * SY_VK_SLOT_BYTES) {
            uint32_t slot;
            SY_TRY(begin_slot(device, &slot));
            const VkBufferCopy copy = {.srcOffset = offset + issued,
                                       .dstOffset = slot * SY_VK_SLOT_BYTES,
                                       .size = MIN(bytes - issued, SY_VK_SLOT_BYTES)};
            vkCmdCopyBuffer(ring->slots[slot].commands, buffer->handle, ring->buffer, 1, &copy);
            SY_TRY(end_slot(device, slot));
            buffer->last_use = device->submitted;
            issued += copy.size;
        }
        const uint64_t at = oldest * SY_VK_SLOT_BYTES, piece = MIN(bytes - done, SY_VK_SLOT_BYTES);
        SY_TRY(sy_vk_wait(device, ring->slots[oldest].value));
        SY_TRY(invalidate(device, &ring->memory, at, piece));
        memcpy(destination + done, ring->memory.map + at, piece);
        oldest = (oldest + 1) % SY_VK_RING_SLOTS;
        done += piece;
    }
    return SY_OK;
}

// ---- the vtable's part ---------------------------------------------------------------------------------------------

enum sy_status sy_vk_buffer_create(struct sy_device *base, uint64_t bytes, struct sy_buffer **out)
{
    struct sy_vk_device *device = (struct sy_vk_device *)base;
    struct sy_vk_buffer *buffer = calloc(1, sizeof *buffer);
    if (buffer == NULL)
        return sy_fail(base->ctx, SY_NOMEM, "%s: no host memory for a buffer", base->caps.id);
    buffer->base.device = base;
    buffer->base.bytes = bytes;
    const VkBufferUsageFlags usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT |
                                     VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    const VkResult result = create_memory(device, bytes, usage, &device->survey.buffer_types, device->survey.mapped,
                                          &buffer->handle, &buffer->memory);
    enum sy_status status = SY_OK;
    if (result != VK_SUCCESS)
        status = sy_vk_fail(device, result, "allocating %" PRIu64 " bytes of a %" PRIu64 "-byte heap", bytes,
                            base->caps.memory_bytes);
    else
        status = sy_vk_buffer_zero(&buffer->base, 0, bytes);
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
    destroy_memory(device, &buffer->handle, &buffer->memory);
    free(buffer);
}

enum sy_status sy_vk_buffer_write(struct sy_buffer *base, uint64_t offset, const void *source, uint64_t bytes)
{
    struct sy_vk_buffer *buffer = (struct sy_vk_buffer *)base;
    struct sy_vk_device *device = (struct sy_vk_device *)base->device;
    if (buffer->memory.map == NULL)
        return stage_out(buffer, offset, source, bytes);
    SY_TRY(sy_vk_wait(device, buffer->last_use));
    memcpy(buffer->memory.map + offset, source, bytes);
    return flush(device, &buffer->memory, offset, bytes);
}

enum sy_status sy_vk_buffer_read(struct sy_buffer *base, uint64_t offset, void *destination, uint64_t bytes)
{
    struct sy_vk_buffer *buffer = (struct sy_vk_buffer *)base;
    struct sy_vk_device *device = (struct sy_vk_device *)base->device;
    if (buffer->memory.map == NULL)
        return stage_in(buffer, offset, destination, bytes);
    SY_TRY(sy_vk_wait(device, buffer->last_write));
    SY_TRY(invalidate(device, &buffer->memory, offset, bytes));
    memcpy(destination, buffer->memory.map + offset, bytes);
    return SY_OK;
}

enum sy_status sy_vk_buffer_zero(struct sy_buffer *base, uint64_t offset, uint64_t bytes)
{
    struct sy_vk_buffer *buffer = (struct sy_vk_buffer *)base;
    struct sy_vk_device *device = (struct sy_vk_device *)base->device;
    uint32_t slot;
    SY_TRY(begin_slot(device, &slot));
    vkCmdFillBuffer(device->ring.slots[slot].commands, buffer->handle, offset, bytes, 0);
    SY_TRY(end_slot(device, slot));
    buffer->last_use = buffer->last_write = device->submitted;
    return SY_OK;
}
