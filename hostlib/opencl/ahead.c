// SPDX-License-Identifier: Apache-2.0
// opencl/ahead.c: compiling for PoCL in other processes. PoCL compiles a kernel's machine code when it is launched for
// the first time, one at a time in a process, and keeps it in its cache.
#include "hostlib/opencl/opencl.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostlib/quirk.h"

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? value : "";
}

/// PoCL's cache; false where it keeps none.
static bool cache_folder(char out[PATH_MAX])
{
    const char *own = environment("POCL_CACHE_DIR"), *xdg = environment("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = -1;
    if (strcmp(environment("POCL_KERNEL_CACHE"), "0") == 0)
        return false;
    if (own[0] != '\0')
        n = snprintf(out, PATH_MAX, "%s", own);
    else if (xdg[0] != '\0')
        n = snprintf(out, PATH_MAX, "%s/pocl/kcache", xdg);
    else if (home != NULL)
        n = snprintf(out, PATH_MAX, "%s/.cache/pocl/kcache", home);
    return n > 0 && n < PATH_MAX;
}

bool sy_cl_kernel_mark(struct sy_device *device, const struct sy_kernel_params *params, char *out_path)
{
    char folder[PATH_MAX], name[SY_CACHE_HEX_BYTES];
    uint8_t key[SY_CACHE_KEY_BYTES];
    if (params->inspect || !sy_has_quirk(&device->caps, SY_QUIRK_OWN_CACHE) || !cache_folder(folder) ||
        sy_cl_kernel_key(device, params, key) != SY_OK)
        return false;
    // Besides what our own cache goes by: what PoCL compiles for, and how.
    const char *cpu = environment("POCL_KERNELLIB_NAME"), *method = environment("POCL_WORK_GROUP_METHOD");
    const struct sy_cache_part parts[] = {{key, sizeof key}, {cpu, strlen(cpu)}, {method, strlen(method)}};
    sy_cache_key(key, parts, SY_COUNT(parts));
    sy_cache_hex(name, key);
    const int n = snprintf(out_path, PATH_MAX, "%s/switchyard/%s", folder, name);
    return n > 0 && n < PATH_MAX;
}

enum sy_status sy_cl_kernel_finish(struct sy_kernel *base)
{
    struct sy_cl_device *device = (struct sy_cl_device *)base->device;
    const struct sy_kernel_params *params = &base->params;
    static const char nothing[SY_MAX_ARGS_BYTES];
    const size_t one = params->wg;
    cl_int error = CL_SUCCESS;
    cl_kernel kernel = clCreateKernel(((struct sy_cl_kernel *)base)->program, params->source.name, &error);
    for (cl_uint i = 0; error == CL_SUCCESS && i < params->binding_count; ++i) {
        const cl_mem none = NULL;
        error = clSetKernelArg(kernel, i, sizeof none, &none);
    }
    if (error == CL_SUCCESS)
        error = clSetKernelArg(kernel, params->binding_count, params->args_bytes, nothing);
    if (error == CL_SUCCESS)
        error = clEnqueueNDRangeKernel(device->queue, kernel, 1, NULL, &one, &one, 0, NULL, NULL);
    if (error == CL_SUCCESS)
        error = clFinish(device->queue);
    if (kernel != NULL)
        clReleaseKernel(kernel);
    return error == CL_SUCCESS ? SY_OK
                               : sy_fail(base->device->ctx, SY_DEVICE, "kernel %s: %s (%d)", params->source.name,
                                         sy_cl_error_name(error), error);
}
