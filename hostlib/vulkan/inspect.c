// SPDX-License-Identifier: Apache-2.0
// inspect.c: what the driver's compiler made of a kernel: its statistics and its assembly.
//
// A pipeline is one or more executables (a driver may add one that runs before the shader); each has figures of its
// own.
#include "hostlib/vulkan/vulkan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Reached through the device: the loader exports no functions of extensions.
struct entry_points {
    PFN_vkGetPipelineExecutablePropertiesKHR properties;
    PFN_vkGetPipelineExecutableStatisticsKHR statistics;
    PFN_vkGetPipelineExecutableInternalRepresentationsKHR representations;
};

/// One pipeline being asked. `executables` is malloc'ed.
struct inquiry {
    struct sy_vk_device *device;
    VkPipeline pipeline;
    const char *kernel;
    struct entry_points call;
    VkPipelineExecutablePropertiesKHR *executables;
    uint32_t count;
};

VkPipelineCreateFlags sy_vk_inspect_flags(const struct sy_vk_device *device)
{
    return device->survey.executable_info ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR |
                                                VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR
                                          : 0;
}

static enum sy_status fail(const struct inquiry *q, VkResult result)
{
    return sy_vk_fail(q->device, result, "inspecting kernel %s", q->kernel);
}

static enum sy_status no_memory(const struct inquiry *q)
{
    return sy_fail(q->device->base.ctx, SY_NOMEM, "no host memory to inspect kernel %s", q->kernel);
}

/// Finds the pipeline's executables: none on a driver that does not tell.
static enum sy_status start(const struct sy_kernel *base, struct inquiry *q)
{
    const struct sy_vk_kernel *kernel = (const struct sy_vk_kernel *)base;
    struct sy_vk_device *device = (struct sy_vk_device *)base->device;
    *q = (struct inquiry){.device = device, .pipeline = kernel->pipeline, .kernel = base->params.source.name};
    if (!device->survey.executable_info)
        return SY_OK;
    const VkDevice handle = device->handle;
    q->call.properties =
        (PFN_vkGetPipelineExecutablePropertiesKHR)vkGetDeviceProcAddr(handle, "vkGetPipelineExecutablePropertiesKHR");
    q->call.statistics =
        (PFN_vkGetPipelineExecutableStatisticsKHR)vkGetDeviceProcAddr(handle, "vkGetPipelineExecutableStatisticsKHR");
    q->call.representations = (PFN_vkGetPipelineExecutableInternalRepresentationsKHR)vkGetDeviceProcAddr(
        handle, "vkGetPipelineExecutableInternalRepresentationsKHR");
    if (q->call.properties == NULL || q->call.statistics == NULL || q->call.representations == NULL)
        return sy_fail(base->device->ctx, SY_UNSUPPORTED, "kernel %s: %s is enabled on %s, its functions are missing",
                       q->kernel, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME, base->device->caps.id);

    const VkPipelineInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = q->pipeline};
    VkResult result = q->call.properties(handle, &info, &q->count, NULL);
    if (result != VK_SUCCESS)
        return fail(q, result);
    if (q->count == 0)
        return SY_OK;
    q->executables = calloc(q->count, sizeof *q->executables);
    if (q->executables == NULL)
        return no_memory(q);
    for (uint32_t i = 0; i < q->count; ++i)
        q->executables[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR;
    result = q->call.properties(handle, &info, &q->count, q->executables);
    return result == VK_SUCCESS ? SY_OK : fail(q, result);
}

// ---- statistics ----------------------------------------------------------------------------------------------------

static double number(const VkPipelineExecutableStatisticKHR *s)
{
    switch (s->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR: return s->value.b32;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR: return (double)s->value.i64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR: return (double)s->value.u64;
    default: return s->value.f64;
    }
}

static struct sy_kernel_stat name_figure(const struct inquiry *q, uint32_t index, const char *name, double value)
{
    struct sy_kernel_stat stat = {.value = value};
    if (index == 0)
        snprintf(stat.name, sizeof stat.name, "%.63s", name);
    else
        snprintf(stat.name, sizeof stat.name, "%.20s: %.40s", q->executables[index].name, name);
    return stat;
}

/// Appends the figures of executable `index`, its subgroup size first; from the second one on they carry its name.
static enum sy_status add_statistics(const struct inquiry *q, uint32_t index, struct sy_kernel_stat **list,
                                     size_t *list_count)
{
    const VkPipelineExecutableInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = q->pipeline, .executableIndex = index};
    uint32_t count = 0;
    VkResult result = q->call.statistics(q->device->handle, &info, &count, NULL);
    if (result != VK_SUCCESS)
        return fail(q, result);
    VkPipelineExecutableStatisticKHR *found = calloc(count + 1, sizeof *found);
    struct sy_kernel_stat *grown = realloc(*list, (*list_count + count + 1) * sizeof *grown);
    if (grown != NULL)
        *list = grown;
    if (found == NULL || grown == NULL) {
        free(found);
        return no_memory(q);
    }
    for (uint32_t i = 0; i < count; ++i)
        found[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    result = q->call.statistics(q->device->handle, &info, &count, found);
    const uint32_t subgroup = q->executables[index].subgroupSize;
    if (result == VK_SUCCESS && subgroup != 0)
        (*list)[(*list_count)++] = name_figure(q, index, "Subgroup size", subgroup);
    for (uint32_t i = 0; result == VK_SUCCESS && i < count; ++i)
        (*list)[(*list_count)++] = name_figure(q, index, found[i].name, number(&found[i]));
    free(found);
    return result == VK_SUCCESS ? SY_OK : fail(q, result);
}

enum sy_status sy_vk_kernel_statistics(const struct sy_kernel *kernel, struct sy_kernel_stat **out, size_t *count)
{
    struct inquiry q;
    enum sy_status status = start(kernel, &q);
    for (uint32_t i = 0; status == SY_OK && i < q.count; ++i)
        status = add_statistics(&q, i, out, count);
    free(q.executables);
    if (status != SY_OK) {
        free(*out);
        *out = NULL;
        *count = 0;
    }
    return status;
}

// ---- assembly ------------------------------------------------------------------------------------------------------

/// Fetches the texts of one executable: data that is not text is left out. `list` has room for `count`.
static VkResult read_texts(const struct inquiry *q, const VkPipelineExecutableInfoKHR *info,
                           VkPipelineExecutableInternalRepresentationKHR *list, uint32_t *count)
{
    VkResult result = q->call.representations(q->device->handle, info, count, list); // the sizes
    for (uint32_t i = 0; result == VK_SUCCESS && i < *count; ++i) {
        list[i].pData = calloc(list[i].dataSize + 1, 1); // one more: a driver that forgets the NUL does no harm
        if (list[i].pData == NULL)
            result = VK_ERROR_OUT_OF_HOST_MEMORY;
    }
    return result == VK_SUCCESS ? q->call.representations(q->device->handle, info, count, list) : result;
}

/// Appends `--- name ---` and the text of each of the executable's representations.
static enum sy_status add_texts(const struct inquiry *q, uint32_t index, FILE *to)
{
    const VkPipelineExecutableInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = q->pipeline, .executableIndex = index};
    uint32_t room = 0;
    VkResult result = q->call.representations(q->device->handle, &info, &room, NULL);
    if (result != VK_SUCCESS)
        return fail(q, result);
    if (room == 0)
        return SY_OK;
    VkPipelineExecutableInternalRepresentationKHR *list = calloc(room, sizeof *list);
    if (list == NULL)
        return no_memory(q);
    for (uint32_t i = 0; i < room; ++i)
        list[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
    uint32_t count = room;
    result = read_texts(q, &info, list, &count);
    for (uint32_t i = 0; result == VK_SUCCESS && i < count; ++i)
        if (list[i].isText)
            fprintf(to, "--- %s: %s ---\n%s\n", q->executables[index].name, list[i].name, (const char *)list[i].pData);
    for (uint32_t i = 0; i < room; ++i)
        free(list[i].pData);
    free(list);
    return result == VK_SUCCESS ? SY_OK : fail(q, result);
}

enum sy_status sy_vk_kernel_assembly(const struct sy_kernel *kernel, char **out_text)
{
    struct inquiry q;
    char *text = NULL;
    size_t bytes = 0;
    enum sy_status status = start(kernel, &q);
    FILE *to = status == SY_OK ? open_memstream(&text, &bytes) : NULL;
    if (status == SY_OK && to == NULL)
        status = no_memory(&q);
    for (uint32_t i = 0; status == SY_OK && i < q.count; ++i)
        status = add_texts(&q, i, to);
    if (to != NULL && fclose(to) != 0 && status == SY_OK)
        status = no_memory(&q);
    free(q.executables);
    if (status == SY_OK && bytes == 0)
        status = sy_fail(q.device->base.ctx, SY_UNSUPPORTED, "kernel %s: the driver of %s (%s) gives no assembly",
                         q.kernel, q.device->base.caps.id, q.device->base.caps.driver);
    if (status != SY_OK) {
        free(text);
        return status;
    }
    *out_text = text;
    return SY_OK;
}
