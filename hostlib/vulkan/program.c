// SPDX-License-Identifier: Apache-2.0
// program.c: a list of dispatches becomes descriptor sets written once and command buffers recorded once.
//
// A submission (pace.h) is one command buffer with one timeline value. Command buffers are recorded for simultaneous
// use: submit() then never waits for the previous replay of the same program, which the queue's order and the opening
// barrier keep apart anyway.
//
// Inside a submission a barrier is put only where a dispatch touches bytes that an earlier one, since the last barrier,
// wrote, or writes bytes that one read.
#include "hostlib/hazards.h"
#include "hostlib/vulkan/vulkan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct sy_vk_device *device_of(const struct sy_vk_program *program)
{
    return (struct sy_vk_device *)program->base.device;
}

// ---- descriptors ---------------------------------------------------------------------------------------------------

static VkResult allocate_sets(struct sy_vk_program *program)
{
    const struct sy_vk_device *device = device_of(program);
    uint32_t constants = 0, buffers = 0;
    for (size_t i = 0; i < program->count; ++i) {
        const struct sy_kernel_params *params = &program->dispatches[i].kernel->params;
        constants += params->const_binding != UINT32_MAX;
        buffers += params->binding_count;
    }
    buffers -= constants;
    VkDescriptorPoolSize sizes[2]; // a size of zero is not allowed: leave it out
    uint32_t size_count = 0;
    if (buffers > 0)
        sizes[size_count++] = (VkDescriptorPoolSize){VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, buffers};
    if (constants > 0)
        sizes[size_count++] = (VkDescriptorPoolSize){VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, constants};
    const VkDescriptorPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = (uint32_t)program->count,
        .poolSizeCount = size_count,
        .pPoolSizes = sizes,
    };
    VkResult result = vkCreateDescriptorPool(device->handle, &pool, NULL, &program->descriptor_pool);
    for (size_t i = 0; result == VK_SUCCESS && i < program->count; ++i) {
        const struct sy_vk_kernel *kernel = (const struct sy_vk_kernel *)program->dispatches[i].kernel;
        const VkDescriptorSetAllocateInfo info = {
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
            .descriptorPool = program->descriptor_pool,
            .descriptorSetCount = 1,
            .pSetLayouts = &kernel->set_layout,
        };
        result = vkAllocateDescriptorSets(device->handle, &info, &program->sets[i]);
    }
    return result;
}

static enum sy_status write_set(struct sy_vk_program *program, size_t index)
{
    const struct sy_vk_device *device = device_of(program);
    const struct sy_dispatch *dispatch = &program->dispatches[index];
    const struct sy_kernel_params *params = &dispatch->kernel->params;
    VkDescriptorBufferInfo buffers[SY_MAX_BINDINGS];
    VkWriteDescriptorSet writes[SY_MAX_BINDINGS];
    for (uint32_t i = 0; i < params->binding_count; ++i) {
        const struct sy_binding *b = &dispatch->bindings[i];
        const bool constant = i == params->const_binding;
        if (constant && b->bytes > device->survey.max_uniform_bytes)
            return sy_fail(device->base.ctx, SY_INVALID,
                           "%s: dispatch %zu '%s': the constants in binding %u have %" PRIu64 " bytes, at most %" PRIu64
                           " fit; bind their own range only",
                           device->base.caps.id, index, dispatch->label, i, b->bytes, device->survey.max_uniform_bytes);
        buffers[i] = (VkDescriptorBufferInfo){
            .buffer = ((const struct sy_vk_buffer *)b->buffer)->handle, .offset = b->offset_bytes, .range = b->bytes};
        writes[i] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = program->sets[index],
            .dstBinding = i,
            .descriptorCount = 1,
            .descriptorType = constant ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = &buffers[i],
        };
    }
    vkUpdateDescriptorSets(device->handle, params->binding_count, writes, 0, NULL);
    return SY_OK;
}

// ---- recording -----------------------------------------------------------------------------------------------------

/// Launches a linear count of groups, folded into x·y with as little overshoot as there can be; kernels guard the rest.
/// A part of them is some of the rows.
static void launch(const struct sy_vk_device *device, uint64_t groups, const struct sy_submission *submission,
                   VkCommandBuffer commands)
{
    const uint64_t most = device->base.caps.max_groups[0];
    uint64_t rows = (groups + most - 1) / most, first, end;
    if (rows < submission->parts)
        rows = submission->parts;
    const uint64_t columns = (groups + rows - 1) / rows;
    sy_pace_share(submission, (groups + columns - 1) / columns, &first, &end);
    if (end > first) // of few groups, the last parts may have none left
        vkCmdDispatchBase(commands, 0, (uint32_t)first, 0, (uint32_t)columns, (uint32_t)(end - first), 1);
}

void sy_vk_record_dispatch(const struct sy_vk_program *program, size_t index, const struct sy_submission *submission,
                           VkCommandBuffer commands)
{
    const struct sy_vk_device *device = device_of(program);
    const struct sy_dispatch *dispatch = &program->dispatches[index];
    const struct sy_vk_kernel *kernel = (const struct sy_vk_kernel *)dispatch->kernel;
    if (device->instance.label != NULL) {
        const VkDebugUtilsLabelEXT label = {.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT,
                                            .pLabelName = dispatch->label};
        device->instance.label(commands, &label);
    }
    vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, kernel->pipeline);
    vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, kernel->layout, 0, 1, &program->sets[index], 0,
                            NULL);
    vkCmdPushConstants(commands, kernel->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, kernel->base.params.args_bytes,
                       dispatch->args);
    launch(device, dispatch->groups, submission, commands);
}

void sy_vk_barrier_between(VkCommandBuffer commands)
{
    sy_vk_barrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                  VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                  VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_UNIFORM_READ_BIT);
}

static VkResult record_submission(const struct sy_vk_program *program, size_t s, struct sy_hazards *hazards)
{
    const struct sy_pace *pace = &program->base.pace;
    const struct sy_submission *submission = &pace->list[s];
    VkCommandBuffer commands = program->commands[s];
    const VkCommandBufferBeginInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT,
    };
    const VkResult result = vkBeginCommandBuffer(commands, &info);
    if (result != VK_SUCCESS)
        return result;
    sy_vk_barrier_begin(commands);
    hazards->count = hazards->dispatches = 0;
    for (size_t i = submission->first; i < submission->end; ++i) {
        if (sy_hazards_add(hazards, &program->dispatches[i]))
            sy_vk_barrier_between(commands);
        sy_vk_record_dispatch(program, i, submission, commands);
    }
    if (s + 1 == pace->cuts)
        sy_vk_barrier_end(commands);
    return vkEndCommandBuffer(commands);
}

static VkResult record(struct sy_vk_program *program)
{
    struct sy_vk_device *device = device_of(program);
    struct sy_hazards *hazards = malloc(sizeof *hazards);
    if (hazards == NULL)
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    const uint32_t count = (uint32_t)program->base.pace.cuts;
    VkResult result = sy_vk_commands_create(device, &program->pool, program->commands, count);
    for (uint32_t s = 0; result == VK_SUCCESS && s < count; ++s) {
        result = record_submission(program, s, hazards);
        sy_vk_submit_prepare(device, &program->commands[s], &program->infos[s], &program->timelines[s],
                             &program->values[s]);
    }
    free(hazards);
    return result;
}

// ---- the vtable's part ---------------------------------------------------------------------------------------------

static void collect_uses(struct sy_vk_program *program)
{
    for (size_t i = 0; i < program->count; ++i) {
        const struct sy_dispatch *dispatch = &program->dispatches[i];
        for (uint32_t b = 0; b < dispatch->kernel->params.binding_count; ++b) {
            struct sy_vk_buffer *buffer = (struct sy_vk_buffer *)dispatch->bindings[b].buffer;
            size_t at = 0;
            while (at < program->use_count && program->uses[at].buffer != buffer)
                ++at;
            if (at == program->use_count)
                program->uses[program->use_count++] = (struct sy_vk_use){.buffer = buffer};
            program->uses[at].written |= dispatch->write_mask >> b & 1u;
        }
    }
}

static bool allocate_submissions(struct sy_vk_program *program)
{
    const size_t n = program->base.pace.cuts;
    program->commands = calloc(n, sizeof *program->commands);
    program->infos = calloc(n, sizeof *program->infos);
    program->timelines = calloc(n, sizeof *program->timelines);
    program->values = calloc(n, sizeof *program->values);
    if (program->commands == NULL || program->infos == NULL || program->timelines == NULL || program->values == NULL)
        return false;
    program->made = n;
    return true;
}

static void free_submissions(struct sy_vk_program *program)
{
    free(program->commands);
    free(program->infos);
    free(program->timelines);
    free(program->values);
    program->commands = NULL;
    program->infos = NULL;
    program->timelines = NULL;
    program->values = NULL;
    program->made = 0;
}

static bool allocate_arrays(struct sy_vk_program *program, const struct sy_dispatch *dispatches)
{
    program->dispatches = malloc(program->count * sizeof *program->dispatches);
    if (program->dispatches == NULL)
        return false;
    memcpy(program->dispatches, dispatches, program->count * sizeof *program->dispatches);
    size_t bindings = 0;
    for (size_t i = 0; i < program->count; ++i)
        bindings += dispatches[i].kernel->params.binding_count;
    program->sets = calloc(program->count, sizeof *program->sets);
    program->uses = calloc(bindings, sizeof *program->uses);
    return program->sets != NULL && program->uses != NULL;
}

static enum sy_status build(struct sy_vk_program *program, const struct sy_dispatch *dispatches)
{
    struct sy_vk_device *device = device_of(program);
    if (!allocate_arrays(program, dispatches))
        return sy_fail(device->base.ctx, SY_NOMEM, "%s: no host memory for a program of %zu dispatches",
                       device->base.caps.id, program->count);
    collect_uses(program);
    VkResult result = allocate_sets(program);
    if (result != VK_SUCCESS)
        return sy_vk_fail(device, result, "allocating %zu descriptor sets", program->count);
    for (size_t i = 0; i < program->count; ++i)
        SY_TRY(write_set(program, i));
    return sy_vk_validated(device);
}

enum sy_status sy_vk_program_create(struct sy_device *device, const struct sy_dispatch *dispatches, size_t count,
                                    struct sy_program **out)
{
    struct sy_vk_program *program = calloc(1, sizeof *program);
    if (program == NULL)
        return sy_fail(device->ctx, SY_NOMEM, "%s: no host memory for a program", device->caps.id);
    program->base.device = device;
    program->count = count;
    const enum sy_status status = build(program, dispatches);
    if (status != SY_OK) {
        sy_vk_program_destroy(&program->base);
        return status;
    }
    *out = &program->base;
    return SY_OK;
}

void sy_vk_program_destroy(struct sy_program *base)
{
    struct sy_vk_program *program = (struct sy_vk_program *)base;
    struct sy_vk_device *device = device_of(program);
    for (size_t s = 0; s < program->made; ++s)
        sy_vk_drain(device, program->values[s]);
    if (device->latest == program)
        device->latest = NULL;
    vkDestroyCommandPool(device->handle, program->pool, NULL);
    vkDestroyDescriptorPool(device->handle, program->descriptor_pool, NULL);
    free(program->dispatches);
    free(program->sets);
    free(program->uses);
    free_submissions(program);
    free(program);
}

enum sy_status sy_vk_program_cut(struct sy_program *base)
{
    struct sy_vk_program *program = (struct sy_vk_program *)base;
    struct sy_vk_device *device = device_of(program);
    vkDestroyCommandPool(device->handle, program->pool, NULL);
    program->pool = VK_NULL_HANDLE;
    free_submissions(program);
    const VkResult result = allocate_submissions(program) ? record(program) : VK_ERROR_OUT_OF_HOST_MEMORY;
    if (result != VK_SUCCESS)
        return sy_vk_fail(device, result, "recording %zu dispatches", program->count);
    return sy_vk_validated(device);
}

/// One call, but one batch per submission: each signals a value of its own, so a driver cannot merge them into one job.
enum sy_status sy_vk_program_submit(struct sy_program *base, size_t first, size_t count)
{
    struct sy_vk_program *program = (struct sy_vk_program *)base;
    struct sy_vk_device *device = device_of(program);
    device->latest = program;
    SY_TRY(sy_vk_submit(device, program->infos + first, program->values + first, (uint32_t)count));
    for (size_t i = 0; i < program->use_count; ++i) {
        struct sy_vk_buffer *buffer = program->uses[i].buffer;
        buffer->last_use = device->submitted;
        if (program->uses[i].written)
            buffer->last_write = device->submitted;
    }
    return sy_vk_validated(device);
}
