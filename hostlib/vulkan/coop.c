// SPDX-License-Identifier: Apache-2.0
// coop.c: what a physical device multiplies with its matrix cores (VK_KHR_cooperative_matrix).
#include <stdlib.h>
#include <string.h>

#include "hostlib/names.h"
#include "hostlib/vulkan/vulkan.h"

/// Whether both can be switched on: cooperative matrices, with the memory model they need, and bf16 in them.
static void read_features(VkPhysicalDevice physical, bool bfloat16_known, bool *matrices, bool *bfloat16)
{
    VkPhysicalDeviceShaderBfloat16FeaturesKHR bf16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coop = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
        .pNext = bfloat16_known ? &bf16 : NULL};
    VkPhysicalDeviceVulkan12Features v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                            .pNext = &coop};
    VkPhysicalDeviceFeatures2 core = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v12};
    vkGetPhysicalDeviceFeatures2(physical, &core);
    *matrices = coop.cooperativeMatrix && v12.vulkanMemoryModel;
    *bfloat16 = bf16.shaderBFloat16Type && bf16.shaderBFloat16CooperativeMatrix;
}

static bool better(const struct sy_coop_shape *a, const struct sy_coop_shape *b)
{
    if (b->m == 0)
        return true;
    const bool square = a->m == 16 && a->n == 16 && a->k == 16; // what all vendors are good at
    return square || (!(b->m == 16 && b->n == 16 && b->k == 16) && a->m * a->n * a->k > b->m * b->n * b->k);
}

/// Keeps the best of the shapes whose sides coop.glsl can take: whole pieces of 8, powers of two.
static void take(const VkCooperativeMatrixPropertiesKHR *p, VkComponentTypeKHR factor, struct sy_coop_shape *best)
{
    const struct sy_coop_shape shape = {p->MSize, p->NSize, p->KSize};
    const uint32_t sides[] = {shape.m, shape.n, shape.k};
    for (size_t i = 0; i < SY_COUNT(sides); ++i)
        if (sides[i] < 8 || sides[i] > 32 || (sides[i] & (sides[i] - 1)) != 0)
            return;
    const bool product = p->AType == factor && p->BType == factor && p->CType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
                         p->ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR && p->scope == VK_SCOPE_SUBGROUP_KHR &&
                         !p->saturatingAccumulation;
    if (product && better(&shape, best))
        *best = shape;
}

/// A variable of `count` numbers above 0 with commas between them. False: it is something else; unset is all zeros.
static bool read_numbers(const char *name, uint32_t *out, int count)
{
    const char *text = getenv(name);
    memset(out, 0, (size_t)count * sizeof *out);
    for (int i = 0; text != NULL && text[0] != '\0' && i < count; ++i) {
        char *end;
        const unsigned long value = strtoul(text, &end, 10);
        if (end == text || value == 0 || value > 256 || *end != (i + 1 < count ? ',' : '\0')) {
            memset(out, 0, (size_t)count * sizeof *out);
            return false;
        }
        out[i] = (uint32_t)value;
        text = end + (*end == ',');
    }
    return true;
}

static enum sy_status check_numbers(struct sy_ctx *ctx, const char *name, uint32_t *scratch, int count,
                                    const char *example)
{
    if (read_numbers(name, scratch, count))
        return SY_OK;
    return sy_fail(ctx, SY_INVALID,
                   "%s=\"%s\": expected %d numbers from 1 to 256 with commas between them (docs/env.md), such as %s",
                   name, getenv(name), count, example);
}

enum sy_status sy_vk_coop_check(struct sy_ctx *ctx)
{
    uint32_t numbers[SY_COOP_NUMBERS];
    SY_TRY(check_numbers(ctx, "SY_COOP_BLOCK", numbers, SY_COOP_NUMBERS, "4,4,2,2,32,2"));
    SY_TRY(check_numbers(ctx, "SY_COOP_ATTENTION", numbers, SY_COOP_ATTENTION_NUMBERS, "16,4,32"));
    return sy_env_check(ctx, "SY_VULKAN_COOP_F16");
}

void sy_vk_survey_coop(const struct sy_vk_instance *instance, VkPhysicalDevice physical, bool bfloat16_known,
                       struct sy_caps *caps)
{
    bool bfloat16 = false;
    (void)read_numbers("SY_COOP_BLOCK", caps->coop_block, SY_COOP_NUMBERS); // sy_vk_coop_check() tells
    (void)read_numbers("SY_COOP_ATTENTION", caps->coop_attention, SY_COOP_ATTENTION_NUMBERS);
    read_features(physical, bfloat16_known, &caps->coopmat, &bfloat16);
    // Not linked: a loader may be older than the extension.
    const PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR get =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)vkGetInstanceProcAddr(
            instance->handle, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    uint32_t count = 0;
    if (!caps->coopmat || get == NULL || get(physical, &count, NULL) != VK_SUCCESS || count == 0)
        return;
    VkCooperativeMatrixPropertiesKHR *list = calloc(count, sizeof *list);
    for (uint32_t i = 0; list != NULL && i < count; ++i)
        list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    if (list == NULL || get(physical, &count, list) != VK_SUCCESS)
        count = 0; // no shapes then: an optional feature
    for (uint32_t i = 0; i < count; ++i) {
        if (bfloat16)
            take(&list[i], VK_COMPONENT_TYPE_BFLOAT16_KHR, &caps->coop_bf16);
        if (sy_env_switch("SY_VULKAN_COOP_F16", false))
            take(&list[i], VK_COMPONENT_TYPE_FLOAT16_KHR, &caps->coop_f16);
    }
    free(list);
}
