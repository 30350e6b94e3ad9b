// SPDX-License-Identifier: Apache-2.0
// profile.c: the device time of every dispatch, by timestamps where the queue has them, else by the host's clock.
#include "hostlib/vulkan/vulkan.h"

#include <string.h>
#include <time.h>

struct profile {
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkQueryPool queries; ///< Null: no timestamps, the host's clock around one dispatch at a time instead.
};

static VkResult open_profile(struct sy_vk_device *device, struct profile *profile)
{
    memset(profile, 0, sizeof *profile);
    const VkResult result = sy_vk_commands_create(device, &profile->pool, &profile->commands, 1);
    if (result != VK_SUCCESS || device->survey.timestamp_mask == 0)
        return result;
    const VkQueryPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = 2 * SY_VK_SUBMISSION_DISPATCHES,
    };
    return vkCreateQueryPool(device->handle, &info, NULL, &profile->queries);
}

static VkResult record_profile(const struct sy_vk_program *program, const struct profile *profile,
                               const struct sy_submission *piece)
{
    const struct sy_vk_device *device = (const struct sy_vk_device *)program->base.device;
    VkResult result = vkResetCommandPool(device->handle, profile->pool, 0);
    const VkCommandBufferBeginInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    if (result == VK_SUCCESS)
        result = vkBeginCommandBuffer(profile->commands, &info);
    if (result != VK_SUCCESS)
        return result;
    const size_t count = piece->end - piece->first;
    if (profile->queries != VK_NULL_HANDLE)
        vkCmdResetQueryPool(profile->commands, profile->queries, 0, (uint32_t)(2 * count));
    sy_vk_barrier_begin(profile->commands);
    for (size_t i = 0; i < count; ++i) {
        const uint32_t query = (uint32_t)(2 * i);
        if (profile->queries != VK_NULL_HANDLE)
            vkCmdWriteTimestamp(profile->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, profile->queries, query);
        sy_vk_record_dispatch(program, piece->first + i, piece, profile->commands);
        if (profile->queries != VK_NULL_HANDLE)
            vkCmdWriteTimestamp(profile->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, profile->queries, query + 1);
        sy_vk_barrier_between(profile->commands); // always: one dispatch is timed, not two that overlap
    }
    sy_vk_barrier_end(profile->commands);
    return vkEndCommandBuffer(profile->commands);
}

static enum sy_status read_timestamps(struct sy_vk_device *device, const struct profile *profile, size_t count,
                                      uint64_t *out_ns)
{
    uint64_t ticks[2 * SY_VK_SUBMISSION_DISPATCHES];
    const VkResult result =
        vkGetQueryPoolResults(device->handle, profile->queries, 0, (uint32_t)(2 * count), sizeof ticks, ticks,
                              sizeof ticks[0], VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
    if (result != VK_SUCCESS)
        return sy_vk_fail(device, result, "reading timestamps");
    for (size_t i = 0; i < count; ++i) {
        const uint64_t delta = (ticks[2 * i + 1] - ticks[2 * i]) & device->survey.timestamp_mask;
        out_ns[i] += (uint64_t)((double)delta * device->survey.timestamp_ns);
    }
    return SY_OK;
}

static uint64_t host_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/// Runs one command buffer to its end, and adds what its dispatches took.
static enum sy_status profile_piece(struct sy_vk_program *program, const struct profile *profile,
                                    const struct sy_submission *piece, uint64_t *out_ns)
{
    struct sy_vk_device *device = (struct sy_vk_device *)program->base.device;
    const VkResult result = record_profile(program, profile, piece);
    if (result != VK_SUCCESS)
        return sy_vk_fail(device, result, "recording a profile");
    VkSubmitInfo info;
    VkTimelineSemaphoreSubmitInfo timeline;
    uint64_t value;
    sy_vk_submit_prepare(device, &profile->commands, &info, &timeline, &value);
    const uint64_t start = host_ns();
    SY_TRY(sy_vk_submit(device, &info, &value, 1));
    const enum sy_status status = sy_vk_wait(device, value);
    const size_t last = piece->end - 1;
    if (status != SY_OK)
        return sy_fail(device->base.ctx, status,
                       "%s: profiling program '%s' failed between dispatch %zu '%s' and %zu '%s'", device->base.caps.id,
                       program->base.name, piece->first, program->dispatches[piece->first].label, last,
                       program->dispatches[last].label);
    if (profile->queries != VK_NULL_HANDLE)
        return read_timestamps(device, profile, piece->end - piece->first, out_ns + piece->first);
    out_ns[piece->first] += host_ns() - start;
    return SY_OK;
}

enum sy_status sy_vk_program_profile(struct sy_program *base, uint64_t *out_ns)
{
    struct sy_vk_program *program = (struct sy_vk_program *)base;
    struct sy_vk_device *device = (struct sy_vk_device *)program->base.device;
    SY_TRY(sy_vk_wait(device, device->submitted)); // alone
    device->latest = NULL;                         // a failure is named below
    struct profile profile;
    const VkResult result = open_profile(device, &profile);
    enum sy_status status = SY_OK;
    if (result != VK_SUCCESS)
        status = sy_vk_fail(device, result, "preparing a profile");
    const bool one_by_one = profile.queries == VK_NULL_HANDLE;
    memset(out_ns, 0, base->count * sizeof *out_ns);
    for (size_t s = 0; status == SY_OK && s < base->pace.cuts; ++s) {
        struct sy_submission piece = base->pace.list[s];
        const size_t end = piece.end;
        for (; status == SY_OK && piece.first < end; piece.first = piece.end) {
            piece.end = one_by_one ? piece.first + 1 : end;
            status = profile_piece(program, &profile, &piece, out_ns);
        }
    }
    sy_vk_drain(device, device->submitted); // after a failure part of it may be running
    vkDestroyQueryPool(device->handle, profile.queries, NULL);
    vkDestroyCommandPool(device->handle, profile.pool, NULL);
    return status;
}
