// SPDX-License-Identifier: Apache-2.0
// opencl/inspect.c: what an OpenCL compiler tells about a kernel: little, and no assembly.
#include "hostlib/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>

#define SPILL_BYTES_INTEL 0x4109 // CL_KERNEL_SPILL_MEM_SIZE_INTEL; most headers lack it

struct question {
    const char *name;
    cl_kernel_work_group_info info;
    bool wide; // answered by a cl_ulong, else by a size_t
};

static const struct question questions[] = {
    {"Private bytes", CL_KERNEL_PRIVATE_MEM_SIZE, true},
    {"Local bytes", CL_KERNEL_LOCAL_MEM_SIZE, true},
    {"Spill bytes", SPILL_BYTES_INTEL, true},
    {"Preferred work-group multiple", CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, false},
    {"Largest work-group", CL_KERNEL_WORK_GROUP_SIZE, false},
};

enum sy_status sy_cl_kernel_statistics(const struct sy_kernel *base, struct sy_kernel_stat **out, size_t *count)
{
    const struct sy_cl_kernel *kernel = (const struct sy_cl_kernel *)base;
    const struct sy_cl_device *device = (const struct sy_cl_device *)base->device;
    const char *name = base->params.source.name;
    struct sy_kernel_stat *stats = calloc(SY_COUNT(questions), sizeof *stats);
    if (stats == NULL)
        return sy_fail(device->base.ctx, SY_NOMEM, "out of host memory for the statistics of kernel %s", name);
    cl_int error = CL_SUCCESS;
    cl_kernel handle = clCreateKernel(kernel->program, name, &error);
    if (error != CL_SUCCESS) {
        free(stats);
        return sy_fail(device->base.ctx, SY_DEVICE, "kernel %s on %s: clCreateKernel: %s (%d)", name,
                       device->base.caps.id, sy_cl_error_name(error), error);
    }
    for (size_t i = 0; i < SY_COUNT(questions); ++i) {
        const struct question *q = &questions[i];
        cl_ulong wide = 0;
        size_t narrow = 0;
        error = clGetKernelWorkGroupInfo(handle, device->id, q->info, q->wide ? sizeof wide : sizeof narrow,
                                         q->wide ? (void *)&wide : (void *)&narrow, NULL);
        if (error != CL_SUCCESS)
            continue; // another vendor's question
        snprintf(stats[*count].name, sizeof stats[*count].name, "%s", q->name);
        stats[(*count)++].value = q->wide ? (double)wide : (double)narrow;
    }
    clReleaseKernel(handle);
    *out = stats;
    return SY_OK;
}
