// SPDX-License-Identifier: Apache-2.0
// memory.c: memory for buffers, mapped or not, and the coherence of what the host reaches.
#include "hostlib/vulkan/vulkan.h"

#include <string.h>

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

void sy_vk_memory_destroy(struct sy_vk_device *device, VkBuffer *buffer, struct sy_vk_memory *memory)
{
    vkDestroyBuffer(device->handle, *buffer, NULL);
    vkFreeMemory(device->handle, memory->handle, NULL); // unmaps too
    *buffer = VK_NULL_HANDLE;
    memset(memory, 0, sizeof *memory);
}

VkResult sy_vk_memory_create(struct sy_vk_device *device, VkDeviceSize bytes, VkBufferUsageFlags usage,
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
        sy_vk_memory_destroy(device, buffer, memory);
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

enum sy_status sy_vk_memory_flush(struct sy_vk_device *device, const struct sy_vk_memory *memory, uint64_t offset,
                                  uint64_t bytes)
{
    if (memory->coherent)
        return SY_OK;
    const VkMappedMemoryRange range = atoms(device, memory, offset, bytes);
    const VkResult result = vkFlushMappedMemoryRanges(device->handle, 1, &range);
    return result == VK_SUCCESS ? SY_OK : sy_vk_fail(device, result, "making host writes visible");
}

enum sy_status sy_vk_memory_invalidate(struct sy_vk_device *device, const struct sy_vk_memory *memory, uint64_t offset,
                                       uint64_t bytes)
{
    if (memory->coherent)
        return SY_OK;
    const VkMappedMemoryRange range = atoms(device, memory, offset, bytes);
    const VkResult result = vkInvalidateMappedMemoryRanges(device->handle, 1, &range);
    return result == VK_SUCCESS ? SY_OK : sy_vk_fail(device, result, "making device writes visible");
}
