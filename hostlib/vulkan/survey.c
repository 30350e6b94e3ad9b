// SPDX-License-Identifier: Apache-2.0
// survey.c: what a physical device can do, and every choice that follows from it, before it is opened.
#include "hostlib/memory.h"
#include "hostlib/names.h"
#include "hostlib/vulkan/vulkan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define PORTABILITY_SUBSET "VK_KHR_portability_subset" // its macro needs the beta headers
#define MIN_OFFSET_ALIGN 256u                          // one value for all devices of a job, where drivers allow less

/// Memory that needs a feature which is never enabled.
#define UNUSABLE_MEMORY                                                                                     \
    ((VkMemoryPropertyFlags)VK_MEMORY_PROPERTY_PROTECTED_BIT | VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD | \
     VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD)

/// Every property structure that is asked for, chained in one piece.
struct properties {
    VkPhysicalDeviceProperties2 core;
    VkPhysicalDeviceVulkan11Properties v11;
    VkPhysicalDeviceVulkan12Properties v12;
    VkPhysicalDeviceSubgroupSizeControlProperties subgroup;
    VkPhysicalDeviceMaintenance4Properties maintenance4;
    VkPhysicalDeviceShaderCorePropertiesAMD amd;
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nv;
};

struct extensions {
    VkExtensionProperties *list;
    uint32_t count;
};

static struct extensions list_extensions(VkPhysicalDevice physical)
{
    struct extensions e = {0};
    if (vkEnumerateDeviceExtensionProperties(physical, NULL, &e.count, NULL) != VK_SUCCESS || e.count == 0)
        return (struct extensions){0};
    e.list = malloc(e.count * sizeof *e.list);
    if (e.list == NULL || vkEnumerateDeviceExtensionProperties(physical, NULL, &e.count, e.list) != VK_SUCCESS)
        e.count = 0; // optional features are then off, nothing else
    return e;
}

static bool has(const struct extensions *e, const char *name)
{
    for (uint32_t i = 0; i < e->count; ++i)
        if (strcmp(e->list[i].extensionName, name) == 0)
            return true;
    return false;
}

/// A structure may be chained only when the device knows it.
static void read_properties(VkPhysicalDevice physical, const struct extensions *e, uint32_t api, struct properties *p)
{
    memset(p, 0, sizeof *p);
    p->core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    p->v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
    p->v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES;
    p->subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES;
    p->maintenance4.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES;
    p->amd.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD;
    p->nv.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV;
    p->core.pNext = &p->v11;
    p->v11.pNext = &p->v12;
    void **tail = &p->v12.pNext;
    if (api >= VK_API_VERSION_1_3 || has(e, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
        *tail = &p->subgroup;
        tail = &p->subgroup.pNext;
    }
    if (api >= VK_API_VERSION_1_3 || has(e, VK_KHR_MAINTENANCE_4_EXTENSION_NAME)) {
        *tail = &p->maintenance4;
        tail = &p->maintenance4.pNext;
    }
    if (has(e, VK_AMD_SHADER_CORE_PROPERTIES_EXTENSION_NAME)) {
        *tail = &p->amd;
        tail = &p->amd.pNext;
    }
    if (has(e, VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME))
        *tail = &p->nv;
    vkGetPhysicalDeviceProperties2(physical, &p->core);
}

static const char *read_features(VkPhysicalDevice physical, const struct extensions *e, struct sy_vk_survey *out)
{
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
    VkPhysicalDeviceSubgroupSizeControlFeatures subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
    VkPhysicalDeviceVulkan12Features v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    if (has(e, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME))
        v12.pNext = &executable;
    if (has(e, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
        subgroup.pNext = v12.pNext;
        v12.pNext = &subgroup;
    }
    VkPhysicalDeviceVulkan11Features v11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                            .pNext = &v12};
    VkPhysicalDeviceFeatures2 core = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v11};
    vkGetPhysicalDeviceFeatures2(physical, &core);
    out->caps.bf16 = v11.storageBuffer16BitAccess;
    out->caps.fp16 = v12.shaderFloat16;
    out->executable_info = executable.pipelineExecutableInfo;
    out->full_subgroups = subgroup.computeFullSubgroups;
    out->subgroup_control = subgroup.subgroupSizeControl && subgroup.computeFullSubgroups;
    if (!v12.timelineSemaphore)
        return "timeline semaphores (timelineSemaphore)";
    return NULL;
}

/// Prefers a queue for compute alone: it neither waits for nor delays a desktop.
static bool choose_queue(VkPhysicalDevice physical, double period, struct sy_vk_survey *out)
{
    VkQueueFamilyProperties families[32];
    uint32_t count = SY_COUNT(families);
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < count; ++i) {
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) || families[i].queueCount == 0)
            continue;
        if (best == UINT32_MAX ||
            ((families[best].queueFlags & VK_QUEUE_GRAPHICS_BIT) && !(families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT)))
            best = i;
    }
    if (best == UINT32_MAX)
        return false;
    const uint32_t bits = sy_env_switch("SY_VULKAN_TIMESTAMPS", true) ? families[best].timestampValidBits : 0;
    out->queue_family = best;
    out->timestamp_mask = bits == 0 ? 0 : bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    out->timestamp_ns = period;
    return true;
}

/// Collects the memory types with all of `required`, largest heap first; `wanted` flags and then the driver's order
/// decide between equals.
static void order_types(const VkPhysicalDeviceMemoryProperties *memory, VkMemoryPropertyFlags required,
                        VkMemoryPropertyFlags wanted, bool heap_first, struct sy_vk_types *out)
{
    out->count = 0;
    for (uint32_t i = 0; i < memory->memoryTypeCount; ++i) {
        const VkMemoryPropertyFlags flags = memory->memoryTypes[i].propertyFlags;
        if ((flags & required) != required || (flags & UNUSABLE_MEMORY) != 0)
            continue;
        uint32_t at = out->count++;
        for (; at > 0; --at) { // insertion: the list is tiny and the driver's order must survive ties
            const uint32_t before = out->index[at - 1];
            const uint64_t size = memory->memoryHeaps[memory->memoryTypes[i].heapIndex].size;
            const uint64_t size_before = memory->memoryHeaps[memory->memoryTypes[before].heapIndex].size;
            const int match = __builtin_popcount(flags & wanted);
            const int match_before = __builtin_popcount(memory->memoryTypes[before].propertyFlags & wanted);
            const bool better = heap_first && size != size_before ? size > size_before : match > match_before;
            if (!better)
                break;
            out->index[at] = before;
        }
        out->index[at] = i;
    }
}

/// A heap's size is what there is for all programs; its budget, where the driver tells, what is left for this one.
static void set_memory(VkPhysicalDevice physical, bool budgets, struct sy_vk_survey *out)
{
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                             .pNext = &budget};
    struct sy_caps *caps = &out->caps;
    const char *from = "the driver's largest heap";
    if (budgets)
        vkGetPhysicalDeviceMemoryProperties2(physical, &all);
    for (uint32_t i = 0; i < out->buffer_types.count; ++i) {
        const uint32_t heap = out->memory.memoryTypes[out->buffer_types.index[i]].heapIndex;
        uint64_t bytes = out->memory.memoryHeaps[heap].size;
        const bool shared = budgets && budget.heapBudget[heap] != 0 && budget.heapBudget[heap] < bytes;
        bytes = shared ? budget.heapBudget[heap] : bytes;
        if (bytes <= caps->memory_bytes)
            continue;
        caps->memory_bytes = bytes;
        from =
            shared ? "what the driver's largest heap has left now (VK_EXT_memory_budget)" : "the driver's largest heap";
    }
    const struct sy_host_memory host = sy_host_memory("");
    if (caps->software && host.bytes < caps->memory_bytes) {
        caps->memory_bytes = host.bytes;
        from = host.from;
    }
    snprintf(caps->memory_from, sizeof caps->memory_from, "%s", from);
}

static void choose_memory(VkPhysicalDevice physical, bool budgets, struct sy_vk_survey *out)
{
    vkGetPhysicalDeviceMemoryProperties(physical, &out->memory);
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    const VkMemoryPropertyFlags visible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    const VkMemoryPropertyFlags coherent = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkMemoryPropertyFlags cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    const bool may_map = sy_env_switch("SY_VULKAN_HOST_VISIBLE", true);

    out->buffer_types.count = 0;
    if (out->caps.unified_memory && may_map)
        order_types(&out->memory, local | visible, coherent | cached, true, &out->buffer_types);
    out->mapped = out->buffer_types.count > 0;
    if (!out->mapped) // device memory only: moving to host memory in silence would cost a factor of ten
        order_types(&out->memory, local, 0, true, &out->buffer_types);
    order_types(&out->memory, visible, coherent | cached, false, &out->staging_types);
    set_memory(physical, budgets, out);
}

static void fill_limits(const struct properties *p, struct sy_caps *caps)
{
    const VkPhysicalDeviceLimits *l = &p->core.properties.limits;
    caps->max_alloc_bytes = p->v11.maxMemoryAllocationSize;
    if (p->maintenance4.maxBufferSize != 0)
        caps->max_alloc_bytes = MIN(caps->max_alloc_bytes, p->maintenance4.maxBufferSize);
    caps->max_binding_bytes = l->maxStorageBufferRange;
    caps->max_bindings = MIN(l->maxPerStageDescriptorStorageBuffers, l->maxDescriptorSetStorageBuffers);
    caps->max_args_bytes = l->maxPushConstantsSize;
    caps->shared_bytes = l->maxComputeSharedMemorySize;
    caps->max_wg = MIN(l->maxComputeWorkGroupInvocations, l->maxComputeWorkGroupSize[0]);
    for (int i = 0; i < 3; ++i)
        caps->max_groups[i] = l->maxComputeWorkGroupCount[i];
    uint64_t align = MAX(l->minStorageBufferOffsetAlignment, l->minUniformBufferOffsetAlignment);
    caps->offset_align = (uint32_t)MAX(align, MIN_OFFSET_ALIGN);
    if (p->v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) {
        caps->subgroup_min = p->subgroup.minSubgroupSize != 0 ? p->subgroup.minSubgroupSize : p->v11.subgroupSize;
        caps->subgroup_max = p->subgroup.maxSubgroupSize != 0 ? p->subgroup.maxSubgroupSize : p->v11.subgroupSize;
    }
    caps->compute_units = p->nv.shaderSMCount != 0 ? p->nv.shaderSMCount
                                                   : p->amd.shaderEngineCount * p->amd.shaderArraysPerEngineCount *
                                                         p->amd.computeUnitsPerShaderArray;
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (caps->software && processors > 0)
        caps->compute_units = (uint32_t)processors; // otherwise 0: core Vulkan does not tell
}

static void fill_identity(const struct properties *p, struct sy_vk_survey *out)
{
    const VkPhysicalDeviceProperties *core = &p->core.properties;
    struct sy_caps *caps = &out->caps;
    const uint32_t v = core->driverVersion;
    const char *info = p->v12.driverInfo;
    snprintf(caps->driver, sizeof caps->driver, "%.200s %.*s", p->v12.driverName, (int)(sizeof caps->driver - 1 - 201),
             info);
    if (info[0] == '\0')
        snprintf(caps->driver, sizeof caps->driver, "%.200s %u.%u.%u", p->v12.driverName, VK_API_VERSION_MAJOR(v),
                 VK_API_VERSION_MINOR(v), VK_API_VERSION_PATCH(v));
    out->vendor_id = core->vendorID;
    out->device_id = core->deviceID;
    memcpy(out->cache_uuid, core->pipelineCacheUUID, VK_UUID_SIZE);

    char text[1024]; // zeroed, so that the hash does not depend on what follows the strings
    memset(text, 0, sizeof text);
    const int n = snprintf(text, sizeof text, "vulkan|%08x|%08x|%08x|%s|%s|%s|%s|", core->vendorID, core->deviceID, v,
                           core->deviceName, p->v12.driverName, info, caps->api);
    const size_t length = MIN((size_t)n, sizeof text - 2 * VK_UUID_SIZE);
    memcpy(text + length, core->pipelineCacheUUID, VK_UUID_SIZE);
    memcpy(text + length + VK_UUID_SIZE, p->v11.driverUUID, VK_UUID_SIZE);
    const XXH128_hash_t hash = XXH3_128bits(text, length + 2 * VK_UUID_SIZE);
    snprintf(caps->key, sizeof caps->key, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}

void sy_vk_survey(const struct sy_vk_instance *instance, VkPhysicalDevice physical, uint32_t index,
                  struct sy_vk_survey *out)
{
    memset(out, 0, sizeof *out);
    struct sy_caps *caps = &out->caps;
    VkPhysicalDeviceProperties basic;
    vkGetPhysicalDeviceProperties(physical, &basic);
    snprintf(caps->id, sizeof caps->id, "vulkan:%u", index);
    snprintf(caps->name, sizeof caps->name, "%s", basic.deviceName);
    snprintf(caps->api, sizeof caps->api, "Vulkan %u.%u.%u", VK_API_VERSION_MAJOR(basic.apiVersion),
             VK_API_VERSION_MINOR(basic.apiVersion), VK_API_VERSION_PATCH(basic.apiVersion));
    caps->backend = SY_BACKEND_VULKAN;
    caps->device_class = SY_CLASS_SIMT;
    caps->software = basic.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    caps->unified_memory = caps->software || basic.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
    if (basic.apiVersion < VK_API_VERSION_1_2) {
        out->missing = "Vulkan 1.2";
        return; // the structures below are unknown to it
    }
    struct extensions extensions = list_extensions(physical);
    struct properties properties;
    read_properties(physical, &extensions, basic.apiVersion, &properties);
    out->portability_subset = has(&extensions, PORTABILITY_SUBSET);
    if (has(&extensions, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME))
        sy_vk_survey_coop(instance, physical, has(&extensions, VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME), caps);
    out->missing = read_features(physical, &extensions, out);
    const bool budgets = has(&extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    free(extensions.list);

    fill_limits(&properties, caps);
    out->full_subgroups &= caps->coopmat;
    out->subgroup_control &= caps->coopmat && caps->subgroup_min != caps->subgroup_max &&
                             (properties.subgroup.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
    if (caps->subgroup_min != caps->subgroup_max && !out->subgroup_control)
        caps->coop_bf16.m = caps->coop_f16.m = 0; // of sub-groups of an unknown size nothing can be made
    fill_identity(&properties, out);
    out->max_uniform_bytes = basic.limits.maxUniformBufferRange;
    out->flush_atom = basic.limits.nonCoherentAtomSize;
    choose_memory(physical, budgets, out);
    if (!choose_queue(physical, basic.limits.timestampPeriod, out))
        out->missing = "a compute queue";
}
