// SPDX-License-Identifier: Apache-2.0
// device.c: lists, opens and closes Vulkan devices.
#include "hostlib/names.h"
#include "hostlib/vulkan/vulkan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum sy_status list(struct sy_ctx *ctx, struct sy_caps **out_list, size_t *out_count)
{
    struct sy_vk_instance instance;
    VkPhysicalDevice *physical = NULL;
    uint32_t count = 0;
    SY_TRY(sy_vk_instance_create(ctx, NULL, &instance));
    enum sy_status status = sy_vk_physical_devices(ctx, &instance, &physical, &count);
    if (status == SY_OK && count > 0) {
        struct sy_caps *grown = realloc(*out_list, (*out_count + count) * sizeof *grown);
        if (grown == NULL)
            status = sy_fail(ctx, SY_NOMEM, "Vulkan: no memory for a list of %u devices", count);
        else
            *out_list = grown;
    }
    for (uint32_t i = 0; status == SY_OK && i < count; ++i) {
        struct sy_vk_survey survey;
        sy_vk_survey(&instance, physical[i], i, &survey);
        (*out_list)[(*out_count)++] = survey.caps;
    }
    free(physical);
    sy_vk_instance_destroy(&instance);
    return status;
}

static enum sy_status read_environment(struct sy_vk_device *device)
{
    SY_TRY(sy_env_check(device->base.ctx, "SY_VULKAN_TIMESTAMPS"));
    SY_TRY(sy_vk_coop_check(device->base.ctx));
    return sy_env_check(device->base.ctx, "SY_VULKAN_HOST_VISIBLE");
}

/// Extensions and features that a device is opened with; features are a chain in the order they were asked for.
struct wishes {
    const char *extensions[5];
    uint32_t count;
    VkPhysicalDeviceVulkan11Features v11;
    VkPhysicalDeviceVulkan12Features v12;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrices;
    VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat16;
    VkPhysicalDeviceSubgroupSizeControlFeatures subgroups;
    VkBaseOutStructure *tail;
};

/// `features` (or NULL) begins as every structure does that Vulkan chains.
static void wish(struct wishes *w, bool wanted, const char *extension, void *features)
{
    if (!wanted)
        return;
    w->extensions[w->count++] = extension;
    if (features != NULL) {
        w->tail->pNext = features;
        w->tail = features;
    }
}

static void make_wishes(const struct sy_vk_survey *survey, struct wishes *w)
{
    const struct sy_caps *caps = &survey->caps;
    *w = (struct wishes){
        .v11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                .pNext = &w->v12,
                .storageBuffer16BitAccess = caps->bf16},
        .v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                .timelineSemaphore = VK_TRUE,
                .shaderFloat16 = caps->fp16,
                .vulkanMemoryModel = caps->coopmat}, // that of every shader with cooperative matrices
        .executable = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
                       .pipelineExecutableInfo = VK_TRUE},
        .matrices = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
                     .cooperativeMatrix = VK_TRUE},
        .bfloat16 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR,
                     .shaderBFloat16Type = VK_TRUE,
                     .shaderBFloat16CooperativeMatrix = VK_TRUE},
        .subgroups = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
                      .subgroupSizeControl = survey->subgroup_control,
                      .computeFullSubgroups = VK_TRUE},
        .tail = (VkBaseOutStructure *)&w->v12,
    };
    wish(w, survey->portability_subset, "VK_KHR_portability_subset", NULL); // its macro needs the beta headers
    wish(w, survey->executable_info, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME, &w->executable);
    wish(w, survey->full_subgroups, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, &w->subgroups);
    wish(w, caps->coopmat, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME, &w->matrices);
    wish(w, caps->coopmat && caps->coop_bf16.m != 0, VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME, &w->bfloat16);
}

static enum sy_status open_logical(struct sy_vk_device *device, VkPhysicalDevice physical)
{
    struct wishes w;
    make_wishes(&device->survey, &w);
    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = device->survey.queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &w.v11,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = w.count,
        .ppEnabledExtensionNames = w.extensions,
    };
    const VkResult result = vkCreateDevice(physical, &info, NULL, &device->handle);
    if (result != VK_SUCCESS) {
        device->handle = VK_NULL_HANDLE;
        return sy_vk_fail(device, result, "the driver cannot open %s", device->survey.caps.name);
    }
    return SY_OK;
}

static enum sy_status open_queue(struct sy_vk_device *device)
{
    vkGetDeviceQueue(device->handle, device->survey.queue_family, 0, &device->queue);
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                            .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    const VkResult result = vkCreateSemaphore(device->handle, &semaphore, NULL, &device->timeline);
    return result == VK_SUCCESS ? SY_OK : sy_vk_fail(device, result, "creating the timeline semaphore");
}

/// Everything open() does after the struct exists; on failure the caller closes what there is.
static enum sy_status open_parts(struct sy_vk_device *device, uint32_t index)
{
    struct sy_ctx *ctx = device->base.ctx;
    SY_TRY(read_environment(device));
    SY_TRY(sy_vk_instance_create(ctx, &device->validation, &device->instance));
    VkPhysicalDevice *physical;
    uint32_t count;
    SY_TRY(sy_vk_physical_devices(ctx, &device->instance, &physical, &count));
    if (index >= count) {
        free(physical);
        return sy_fail(ctx, SY_INVALID, "vulkan:%u: no such device, there are %u", index, count);
    }
    const VkPhysicalDevice chosen = physical[index];
    free(physical);
    sy_vk_survey(&device->instance, chosen, index, &device->survey);
    device->base.caps = device->survey.caps;
    if (device->survey.missing != NULL)
        return sy_fail(ctx, SY_UNSUPPORTED, "vulkan:%u (%s, %s): the driver lacks %s; choose another device", index,
                       device->survey.caps.name, device->survey.caps.api, device->survey.missing);
    SY_TRY(open_logical(device, chosen));
    SY_TRY(open_queue(device));
    SY_TRY(sy_vk_ring_create(device));
    return sy_vk_pipeline_cache_load(device);
}

static void close_device(struct sy_device *base)
{
    struct sy_vk_device *device = (struct sy_vk_device *)base;
    if (device->handle != VK_NULL_HANDLE) {
        vkDeviceWaitIdle(device->handle); // also the safe thing to do on a lost device
        if (device->pipeline_cache != VK_NULL_HANDLE && !base->lost)
            sy_vk_pipeline_cache_store(device);
        vkDestroyPipelineCache(device->handle, device->pipeline_cache, NULL);
        sy_vk_ring_destroy(device);
        vkDestroySemaphore(device->handle, device->timeline, NULL);
        vkDestroyDevice(device->handle, NULL);
    }
    sy_vk_instance_destroy(&device->instance);
    (void)sy_vk_validated(device); // there is no status to return: the message must be seen in the log
    free(device);
}

static enum sy_status open_device(struct sy_ctx *ctx, uint32_t index, struct sy_device **out)
{
    struct sy_vk_device *device = calloc(1, sizeof *device);
    if (device == NULL)
        return sy_fail(ctx, SY_NOMEM, "vulkan:%u: no host memory for the device", index);
    device->base.backend = &sy_backend_vulkan;
    device->base.ctx = ctx;
    snprintf(device->base.caps.id, sizeof device->base.caps.id, "vulkan:%u", index);
    device->validation.ctx = ctx;
    device->validation.device_id = device->base.caps.id;
    const enum sy_status status = open_parts(device, index);
    if (status != SY_OK) {
        close_device(&device->base);
        return status;
    }
    *out = &device->base;
    return SY_OK;
}

static enum sy_status wait_device(struct sy_device *base)
{
    struct sy_vk_device *device = (struct sy_vk_device *)base;
    return sy_vk_wait(device, device->submitted);
}

const struct sy_backend sy_backend_vulkan = {
    .id = SY_BACKEND_VULKAN,
    .list = list,
    .open = open_device,
    .close = close_device,
    .wait = wait_device,
    .buffer_create = sy_vk_buffer_create,
    .buffer_destroy = sy_vk_buffer_destroy,
    .buffer_write = sy_vk_buffer_write,
    .buffer_read = sy_vk_buffer_read,
    .buffer_read_start = sy_vk_buffer_read_start,
    .buffer_copy = sy_vk_buffer_copy,
    .buffer_zero = sy_vk_buffer_zero,
    .event_wait = sy_vk_event_wait,
    .event_done = sy_vk_event_done,
    .event_destroy = sy_vk_event_destroy,
    .kernel_create = sy_vk_kernel_create,
    .kernel_destroy = sy_vk_kernel_destroy,
    .kernel_statistics = sy_vk_kernel_statistics,
    .kernel_assembly = sy_vk_kernel_assembly,
    .program_create = sy_vk_program_create,
    .program_destroy = sy_vk_program_destroy,
    .submission_dispatches = SY_VK_SUBMISSION_DISPATCHES,
    .program_cut = sy_vk_program_cut,
    .program_submit = sy_vk_program_submit,
    .program_profile = sy_vk_program_profile,
};
