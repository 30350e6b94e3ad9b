// SPDX-License-Identifier: Apache-2.0
// instance.c: the way into the Vulkan loader, with the validation layer listening when it is asked to.
#include "hostlib/vulkan/vulkan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"
#define VALIDATION_LOG_LIMIT 16u // a faulty program repeats itself at every replay

const char *sy_vk_result_name(VkResult result)
{
#define CASE(name) \
    case name: return #name
    switch (result) {
        CASE(VK_SUCCESS);
        CASE(VK_NOT_READY);
        CASE(VK_TIMEOUT);
        CASE(VK_INCOMPLETE);
        CASE(VK_ERROR_OUT_OF_HOST_MEMORY);
        CASE(VK_ERROR_OUT_OF_DEVICE_MEMORY);
        CASE(VK_ERROR_INITIALIZATION_FAILED);
        CASE(VK_ERROR_DEVICE_LOST);
        CASE(VK_ERROR_MEMORY_MAP_FAILED);
        CASE(VK_ERROR_LAYER_NOT_PRESENT);
        CASE(VK_ERROR_EXTENSION_NOT_PRESENT);
        CASE(VK_ERROR_FEATURE_NOT_PRESENT);
        CASE(VK_ERROR_INCOMPATIBLE_DRIVER);
        CASE(VK_ERROR_TOO_MANY_OBJECTS);
        CASE(VK_ERROR_FRAGMENTED_POOL);
        CASE(VK_ERROR_OUT_OF_POOL_MEMORY);
        CASE(VK_ERROR_FRAGMENTATION);
        CASE(VK_ERROR_INVALID_SHADER_NV);
        CASE(VK_ERROR_UNKNOWN);
    default: return "an unlisted VkResult";
    }
#undef CASE
}

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    (void)severity, (void)types; // only errors of the validation kind are subscribed to
    struct sy_vk_validation *validation = user;
    char text[sizeof validation->first];
    const uint32_t labels = data->cmdBufLabelCount;
    snprintf(text, sizeof text, "%s%s%s%s", labels > 0 ? "near dispatch \"" : "",
             labels > 0 ? data->pCmdBufLabels[labels - 1].pLabelName : "", labels > 0 ? "\": " : "", data->pMessage);
    if (validation->errors == 0)
        memcpy(validation->first, text, sizeof text);
    if (validation->errors < VALIDATION_LOG_LIMIT)
        sy_log(validation->ctx, SY_LOG_ERROR, "%s: validation: %s", validation->device_id, text);
    validation->errors++;
    return VK_FALSE; // let the faulty call go on: more than one message may be needed to see the cause
}

static bool has_layer(const char *name)
{
    VkLayerProperties layers[64];
    uint32_t count = SY_COUNT(layers);
    vkEnumerateInstanceLayerProperties(&count, layers);
    for (uint32_t i = 0; i < count; ++i)
        if (strcmp(layers[i].layerName, name) == 0)
            return true;
    return false;
}

static bool has_extension(const char *name)
{
    VkExtensionProperties extensions[128];
    uint32_t count = SY_COUNT(extensions);
    vkEnumerateInstanceExtensionProperties(NULL, &count, extensions);
    for (uint32_t i = 0; i < count; ++i)
        if (strcmp(extensions[i].extensionName, name) == 0)
            return true;
    return false;
}

static enum sy_status listen(struct sy_ctx *ctx, const VkDebugUtilsMessengerCreateInfoEXT *info,
                             struct sy_vk_instance *instance)
{
    PFN_vkCreateDebugUtilsMessengerEXT create =
        (PFN_vkCreateDebugUtilsMessengerEXT)vkGetInstanceProcAddr(instance->handle, "vkCreateDebugUtilsMessengerEXT");
    instance->label =
        (PFN_vkCmdInsertDebugUtilsLabelEXT)vkGetInstanceProcAddr(instance->handle, "vkCmdInsertDebugUtilsLabelEXT");
    VkResult result = VK_ERROR_EXTENSION_NOT_PRESENT;
    if (create != NULL)
        result = create(instance->handle, info, NULL, &instance->messenger);
    if (result == VK_SUCCESS)
        return SY_OK;
    sy_vk_instance_destroy(instance);
    return sy_fail(ctx, SY_UNSUPPORTED, "Vulkan: SY_VULKAN_VALIDATION is set, but its messages cannot be received (%s)",
                   sy_vk_result_name(result));
}

/// Whether SY_VULKAN_VALIDATION asks for the validation layer, and for its checks of synchronisation too.
static enum sy_status read_wish(struct sy_ctx *ctx, bool *validate, bool *sync)
{
    const char *wish = getenv("SY_VULKAN_VALIDATION");
    *validate = wish != NULL && wish[0] != '\0' && strcmp(wish, "0") != 0;
    *sync = *validate && strcmp(wish, "sync") == 0;
    if (*validate && !*sync && strcmp(wish, "1") != 0)
        return sy_fail(ctx, SY_INVALID, "SY_VULKAN_VALIDATION=\"%s\": expected 0, 1 or sync", wish);
    if (*validate && !has_layer(VALIDATION_LAYER))
        return sy_fail(ctx, SY_UNSUPPORTED,
                       "Vulkan: SY_VULKAN_VALIDATION is set, but the layer " VALIDATION_LAYER
                       " is not installed (Debian: vulkan-validationlayers)");
    return SY_OK;
}

/// `messenger`: NULL without validation. Leaves no instance, and no error, where the loader found no driver.
static enum sy_status create(struct sy_ctx *ctx, const VkDebugUtilsMessengerCreateInfoEXT *messenger,
                             struct sy_vk_instance *out)
{
    const char *extensions[2], *layer = VALIDATION_LAYER;
    uint32_t extension_count = 0;
    const bool portability = has_extension(VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME);
    if (portability)
        extensions[extension_count++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
    if (messenger != NULL)
        extensions[extension_count++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "switchyard",
        .pEngineName = "switchyard",
        .apiVersion = VK_API_VERSION_1_2,
    };
    const VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = messenger, // chained as well, because leaks are reported while the instance goes away
        .flags = portability ? VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR : 0,
        .pApplicationInfo = &application,
        .enabledLayerCount = messenger != NULL ? 1 : 0,
        .ppEnabledLayerNames = &layer,
        .enabledExtensionCount = extension_count,
        .ppEnabledExtensionNames = extensions,
    };
    const VkResult result = vkCreateInstance(&info, NULL, &out->handle);
    if (result == VK_SUCCESS)
        return SY_OK;
    out->handle = VK_NULL_HANDLE;
    return result == VK_ERROR_INCOMPATIBLE_DRIVER
               ? SY_OK
               : sy_fail(ctx, SY_DEVICE, "Vulkan: no instance can be created (%s); check the drivers with vulkaninfo",
                         sy_vk_result_name(result));
}

enum sy_status sy_vk_instance_create(struct sy_ctx *ctx, struct sy_vk_validation *validation,
                                     struct sy_vk_instance *out)
{
    memset(out, 0, sizeof *out);
    uint32_t version = 0;
    if (vkEnumerateInstanceVersion(&version) != VK_SUCCESS || version < VK_API_VERSION_1_2) {
        sy_log(ctx, SY_LOG_INFO, "Vulkan: the loader is older than 1.2; no devices");
        return SY_OK;
    }
    bool validate = false, sync = false;
    if (validation != NULL)
        SY_TRY(read_wish(ctx, &validate, &sync));
    const VkValidationFeatureEnableEXT enabled = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    const VkValidationFeaturesEXT features = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .enabledValidationFeatureCount = 1,
        .pEnabledValidationFeatures = &enabled,
    };
    VkDebugUtilsMessengerCreateInfoEXT messenger = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .pNext = sync ? &features : NULL,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = validation,
    };
    SY_TRY(create(ctx, validate ? &messenger : NULL, out));
    messenger.pNext = NULL;
    return validate && out->handle != VK_NULL_HANDLE ? listen(ctx, &messenger, out) : SY_OK;
}

void sy_vk_instance_destroy(struct sy_vk_instance *instance)
{
    if (instance->handle == VK_NULL_HANDLE)
        return;
    PFN_vkDestroyDebugUtilsMessengerEXT destroy =
        (PFN_vkDestroyDebugUtilsMessengerEXT)vkGetInstanceProcAddr(instance->handle, "vkDestroyDebugUtilsMessengerEXT");
    if (instance->messenger != VK_NULL_HANDLE && destroy != NULL)
        destroy(instance->handle, instance->messenger, NULL);
    vkDestroyInstance(instance->handle, NULL);
    memset(instance, 0, sizeof *instance);
}

enum sy_status sy_vk_physical_devices(struct sy_ctx *ctx, const struct sy_vk_instance *instance, VkPhysicalDevice **out,
                                      uint32_t *out_count)
{
    *out = NULL;
    *out_count = 0;
    if (instance->handle == VK_NULL_HANDLE)
        return SY_OK;
    uint32_t count = 0;
    VkResult result = vkEnumeratePhysicalDevices(instance->handle, &count, NULL);
    if (result == VK_ERROR_INITIALIZATION_FAILED) // what some loaders say when every driver declined
        return SY_OK;
    if (result == VK_SUCCESS && count == 0)
        return SY_OK;
    VkPhysicalDevice *list = result == VK_SUCCESS ? malloc(count * sizeof *list) : NULL;
    if (result == VK_SUCCESS && list == NULL)
        return sy_fail(ctx, SY_NOMEM, "Vulkan: no memory for a list of %u devices", count);
    if (result == VK_SUCCESS)
        result = vkEnumeratePhysicalDevices(instance->handle, &count, list);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
        free(list);
        return sy_fail(ctx, SY_DEVICE, "Vulkan: the devices cannot be listed (%s)", sy_vk_result_name(result));
    }
    *out = list;
    *out_count = count;
    return SY_OK;
}
