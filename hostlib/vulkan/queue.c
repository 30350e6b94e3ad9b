// SPDX-License-Identifier: Apache-2.0
// queue.c: hands the device work, waits for it, and says what it was doing when it failed. The lowest file of this
// folder that calls a device; it knows programs as data only.
#include "hostlib/vulkan/vulkan.h"

#include <stdio.h>

/// Writes which dispatches of the latest program were running when the timeline stood at `finished`.
static void tell_where(const struct sy_vk_program *program, uint64_t finished, char *text, size_t size)
{
    const char *name = program->base.name != NULL ? program->base.name : "?";
    if (program->made == 0 || finished + 1 < program->values[0]) { // an earlier replay, another program, or a copy
        snprintf(text, size, " (in work queued before the latest replay of program '%s')", name);
        return;
    }
    const struct sy_pace *pace = &program->base.pace;
    size_t s = 0;
    while (s < program->made && program->values[s] <= finished)
        ++s;
    if (s == program->made) {
        snprintf(text, size, " (after program '%s', which was done)", name);
        return;
    }
    const size_t first = pace->list[s].first, last = pace->list[s].end - 1;
    snprintf(text, size, " (program '%s', between dispatch %zu '%s' and %zu '%s')", name, first,
             program->dispatches[first].label, last, program->dispatches[last].label);
}

enum sy_status sy_vk_fail(struct sy_vk_device *device, VkResult result, const char *format, ...)
{
    char what[512], where[512] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    const bool memory = result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (!memory)
        device->base.lost = true;
    if (result == VK_ERROR_DEVICE_LOST && device->latest != NULL) {
        uint64_t finished = device->finished;
        if (vkGetSemaphoreCounterValue(device->handle, device->timeline, &finished) != VK_SUCCESS)
            finished = device->finished;
        tell_where(device->latest, finished, where, sizeof where);
    }
    return sy_fail(device->base.ctx, memory ? SY_NOMEM : SY_DEVICE, "%s: %s: %s%s%s", device->base.caps.id, what,
                   sy_vk_result_name(result), where, device->base.lost ? "; close and reopen the device" : "");
}

void sy_vk_submit_prepare(struct sy_vk_device *device, const VkCommandBuffer *commands, VkSubmitInfo *info,
                          VkTimelineSemaphoreSubmitInfo *timeline, uint64_t *value)
{
    *timeline = (VkTimelineSemaphoreSubmitInfo){
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .signalSemaphoreValueCount = 1,
        .pSignalSemaphoreValues = value,
    };
    *info = (VkSubmitInfo){
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .pNext = timeline,
        .commandBufferCount = 1,
        .pCommandBuffers = commands,
        .signalSemaphoreCount = 1,
        .pSignalSemaphores = &device->timeline,
    };
}

enum sy_status sy_vk_submit(struct sy_vk_device *device, const VkSubmitInfo *infos, uint64_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; ++i)
        values[i] = device->submitted + i + 1;
    const VkResult result = vkQueueSubmit(device->queue, count, infos, VK_NULL_HANDLE);
    if (result != VK_SUCCESS) {
        device->base.lost = true; // part of the batch may be running: what follows could not be ordered after it
        return sy_vk_fail(device, result, "work cannot be submitted");
    }
    device->submitted += count;
    return SY_OK;
}

enum sy_status sy_vk_validated(const struct sy_vk_device *device)
{
    const struct sy_vk_validation *v = &device->validation;
    if (v->errors == 0)
        return SY_OK;
    return sy_fail(device->base.ctx, SY_DEVICE, "%s: validation: %u error%s, the first: %.800s", device->base.caps.id,
                   v->errors, v->errors == 1 ? "" : "s", v->first);
}

enum sy_status sy_vk_wait(struct sy_vk_device *device, uint64_t value)
{
    if (value <= device->finished)
        return sy_vk_validated(device);
    if (device->base.lost)
        return sy_fail(device->base.ctx, SY_DEVICE, "%s: the device failed earlier; close and reopen it",
                       device->base.caps.id);
    const VkSemaphoreWaitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
        .semaphoreCount = 1,
        .pSemaphores = &device->timeline,
        .pValues = &value,
    };
    const VkResult result = vkWaitSemaphores(device->handle, &info, UINT64_MAX);
    if (result != VK_SUCCESS)
        return sy_vk_fail(device, result, "waiting for submitted work");
    device->finished = value;
    return sy_vk_validated(device); // GPU-assisted checks speak up when the work is done
}

enum sy_status sy_vk_reached(struct sy_vk_device *device, uint64_t value, bool *out)
{
    uint64_t now = device->finished;
    if (value > now) {
        const VkResult result = vkGetSemaphoreCounterValue(device->handle, device->timeline, &now);
        if (result != VK_SUCCESS)
            return sy_vk_fail(device, result, "asking how far submitted work is");
        device->finished = now;
    }
    *out = value <= now;
    return sy_vk_validated(device);
}

void sy_vk_drain(struct sy_vk_device *device, uint64_t value)
{
    if (value <= device->finished || (!device->base.lost && sy_vk_wait(device, value) == SY_OK))
        return;
    vkDeviceWaitIdle(device->handle); // a truly lost device returns at once; after other failures work may still run
}

void sy_vk_barrier(VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags wrote, VkPipelineStageFlags to,
                   VkAccessFlags will)
{
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = wrote, .dstAccessMask = will};
    vkCmdPipelineBarrier(commands, from, to, 0, 1, &barrier, 0, NULL, 0, NULL);
}

void sy_vk_barrier_begin(VkCommandBuffer commands)
{
    const VkPipelineStageFlags both = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    sy_vk_barrier(commands, both, VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, both,
                  VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_UNIFORM_READ_BIT |
                      VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
}

void sy_vk_barrier_end(VkCommandBuffer commands)
{
    sy_vk_barrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                  VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                  VK_ACCESS_HOST_READ_BIT);
}

VkResult sy_vk_commands_create(struct sy_vk_device *device, VkCommandPool *pool, VkCommandBuffer *commands,
                               uint32_t count)
{
    const VkCommandPoolCreateInfo pool_info = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                               .queueFamilyIndex = device->survey.queue_family};
    const VkResult result = vkCreateCommandPool(device->handle, &pool_info, NULL, pool);
    if (result != VK_SUCCESS)
        return result;
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = *pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = count,
    };
    return vkAllocateCommandBuffers(device->handle, &info, commands);
}
