// SPDX-License-Identifier: Apache-2.0
// stub.c: stands in for this folder when the build has no Vulkan: lists nothing, and says so when opened.
#include "hostlib/backend.h"

static enum sy_status list(struct sy_ctx *ctx, struct sy_caps **out_list, size_t *out_count)
{
    (void)ctx, (void)out_list, (void)out_count;
    return SY_OK;
}

static enum sy_status open_device(struct sy_ctx *ctx, uint32_t index, struct sy_device **out)
{
    (void)out;
    return sy_fail(ctx, SY_UNSUPPORTED,
                   "vulkan:%u: this build has no Vulkan; install the Vulkan loader and headers (Debian: libvulkan-dev) "
                   "and glslc, then configure with -Dvulkan=enabled",
                   index);
}

const struct sy_backend sy_backend_vulkan = {.id = SY_BACKEND_VULKAN, .list = list, .open = open_device};
