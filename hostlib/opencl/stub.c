// SPDX-License-Identifier: Apache-2.0
// opencl/stub.c: stands in for the OpenCL backend in a build without it.
#include "hostlib/backend.h"

static enum sy_status list_devices(struct sy_ctx *ctx, struct sy_caps **list, size_t *count)
{
    (void)ctx;
    (void)list;
    (void)count;
    return SY_OK;
}

static enum sy_status open_device(struct sy_ctx *ctx, uint32_t index, struct sy_device **out)
{
    (void)out;
    return sy_fail(
        ctx, SY_UNSUPPORTED,
        "opencl:%u: this build has no OpenCL backend; configure it with -Dopencl=enabled, or choose another device",
        index);
}

const struct sy_backend sy_backend_opencl = {.id = SY_BACKEND_OPENCL, .list = list_devices, .open = open_device};
