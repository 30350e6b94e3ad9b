// SPDX-License-Identifier: Apache-2.0
// kernel.c: one compute pipeline per kernel, through one pipeline cache per device that outlives the process.
#include "hostlib/vulkan/vulkan.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "hostlib/cache.h"

#define CACHE_KIND "vkpipe"

// ---- the pipeline cache --------------------------------------------------------------------------------------------

static void cache_key(const struct sy_vk_device *device, uint8_t out[SY_CACHE_KEY_BYTES])
{
    const struct sy_cache_part part = {device->survey.caps.key, strlen(device->survey.caps.key)};
    sy_cache_key(out, &part, 1);
}

/// Drivers should check this themselves; not all of them did, and a wrong blob crashes deep inside a compiler.
static bool cache_fits(const struct sy_vk_device *device, const void *data, size_t bytes)
{
    VkPipelineCacheHeaderVersionOne header;
    if (bytes < sizeof header)
        return false;
    memcpy(&header, data, sizeof header);
    return header.headerSize >= sizeof header && header.headerSize <= bytes &&
           header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           header.vendorID == device->survey.vendor_id && header.deviceID == device->survey.device_id &&
           memcmp(header.pipelineCacheUUID, device->survey.cache_uuid, VK_UUID_SIZE) == 0;
}

enum sy_status sy_vk_pipeline_cache_load(struct sy_vk_device *device)
{
    uint8_t key[SY_CACHE_KEY_BYTES];
    void *data = NULL;
    size_t bytes = 0;
    cache_key(device, key);
    if (sy_cache_load(device->base.ctx, CACHE_KIND, key, &data, &bytes) && !cache_fits(device, data, bytes)) {
        sy_log(device->base.ctx, SY_LOG_DEBUG, "%s: the stored pipeline cache is of another driver",
               device->base.caps.id);
        bytes = 0;
    }
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO, .initialDataSize = bytes, .pInitialData = data};
    VkResult result = vkCreatePipelineCache(device->handle, &info, NULL, &device->pipeline_cache);
    if (result != VK_SUCCESS && bytes > 0) { // the driver does not like it: start empty
        info.initialDataSize = 0;
        result = vkCreatePipelineCache(device->handle, &info, NULL, &device->pipeline_cache);
    }
    free(data);
    if (result != VK_SUCCESS) {
        device->pipeline_cache = VK_NULL_HANDLE;
        return sy_vk_fail(device, result, "creating the pipeline cache");
    }
    device->pipeline_cache_bytes = info.initialDataSize;
    return SY_OK;
}

void sy_vk_pipeline_cache_store(struct sy_vk_device *device)
{
    size_t bytes = 0;
    if (vkGetPipelineCacheData(device->handle, device->pipeline_cache, &bytes, NULL) != VK_SUCCESS ||
        bytes <= device->pipeline_cache_bytes || bytes <= sizeof(VkPipelineCacheHeaderVersionOne))
        return;
    void *data = malloc(bytes);
    if (data == NULL)
        return;
    uint8_t key[SY_CACHE_KEY_BYTES];
    cache_key(device, key);
    if (vkGetPipelineCacheData(device->handle, device->pipeline_cache, &bytes, data) == VK_SUCCESS)
        sy_cache_store(device->base.ctx, CACHE_KIND, key, data, bytes);
    free(data);
}

// ---- kernels -------------------------------------------------------------------------------------------------------

static VkResult create_layout(struct sy_vk_device *device, const struct sy_kernel_params *params,
                              struct sy_vk_kernel *kernel)
{
    VkDescriptorSetLayoutBinding bindings[SY_MAX_BINDINGS];
    for (uint32_t i = 0; i < params->binding_count; ++i)
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType =
                i == params->const_binding ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = params->binding_count,
        .pBindings = bindings,
    };
    const VkResult result = vkCreateDescriptorSetLayout(device->handle, &set, NULL, &kernel->set_layout);
    if (result != VK_SUCCESS)
        return result;
    const VkPushConstantRange range = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = params->args_bytes};
    const VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &kernel->set_layout,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &range,
    };
    return vkCreatePipelineLayout(device->handle, &layout, NULL, &kernel->layout);
}

static VkResult create_pipeline(struct sy_vk_device *device, const struct sy_kernel_params *params,
                                struct sy_vk_kernel *kernel)
{
    const VkShaderModuleCreateInfo module_info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = params->source.spirv_bytes,
        .pCode = params->source.spirv,
    };
    VkShaderModule module;
    VkResult result = vkCreateShaderModule(device->handle, &module_info, NULL, &module);
    if (result != VK_SUCCESS)
        return result;
    uint32_t values[1 + SY_MAX_CONSTANTS] = {params->wg};
    memcpy(values + 1, params->constants, params->constant_count * sizeof *values);
    VkSpecializationMapEntry entries[SY_COUNT(values)];
    for (uint32_t i = 0; i <= params->constant_count; ++i)
        entries[i] = (VkSpecializationMapEntry){
            .constantID = i, .offset = (uint32_t)(i * sizeof *values), .size = sizeof *values};
    const VkSpecializationInfo special = {
        .mapEntryCount = params->constant_count + 1,
        .pMapEntries = entries,
        .dataSize = sizeof values,
        .pData = values,
    };
    // Where there is one size only, a work-group of a multiple of it has whole sub-groups.
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = params->subgroup,
    };
    const bool sized = params->subgroup != 0 && device->survey.subgroup_control;
    const bool full = params->subgroup != 0 && device->survey.full_subgroups;
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        // Submissions may launch a part of the groups.
        .flags = VK_PIPELINE_CREATE_DISPATCH_BASE_BIT | (params->inspect ? sy_vk_inspect_flags(device) : 0),
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .pNext = sized ? &subgroup : NULL,
                  .flags = full ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &special},
        .layout = kernel->layout,
    };
    const VkPipelineCache cache = params->inspect ? VK_NULL_HANDLE : device->pipeline_cache;
    result = vkCreateComputePipelines(device->handle, cache, 1, &info, NULL, &kernel->pipeline);
    vkDestroyShaderModule(device->handle, module, NULL);
    return result;
}

enum sy_status sy_vk_kernel_create(struct sy_device *base, const struct sy_kernel_params *params,
                                   struct sy_kernel **out)
{
    struct sy_vk_device *device = (struct sy_vk_device *)base;
    if (params->source.spirv == NULL)
        return sy_fail(base->ctx, SY_UNSUPPORTED,
                       "kernel %s: no SPIR-V in this build; configure it with glslc installed", params->source.name);
    struct sy_vk_kernel *kernel = calloc(1, sizeof *kernel);
    if (kernel == NULL)
        return sy_fail(base->ctx, SY_NOMEM, "kernel %s: no host memory", params->source.name);
    kernel->base.device = base;
    VkResult result = create_layout(device, params, kernel);
    if (result == VK_SUCCESS)
        result = create_pipeline(device, params, kernel);
    if (result != VK_SUCCESS) {
        sy_vk_kernel_destroy(&kernel->base);
        const bool memory = result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY;
        if (memory || result == VK_ERROR_DEVICE_LOST)
            return sy_vk_fail(device, result, "building kernel %s", params->source.name);
        return sy_fail(base->ctx, SY_DEVICE, "kernel %s: %s (%s) cannot build its pipeline: %s", params->source.name,
                       base->caps.id, base->caps.driver, sy_vk_result_name(result));
    }
    *out = &kernel->base;
    return SY_OK;
}

void sy_vk_kernel_destroy(struct sy_kernel *base)
{
    struct sy_vk_kernel *kernel = (struct sy_vk_kernel *)base;
    const struct sy_vk_device *device = (const struct sy_vk_device *)base->device;
    vkDestroyPipeline(device->handle, kernel->pipeline, NULL);
    vkDestroyPipelineLayout(device->handle, kernel->layout, NULL);
    vkDestroyDescriptorSetLayout(device->handle, kernel->set_layout, NULL);
    free(kernel);
}
