// SPDX-License-Identifier: Apache-2.0
// ref/kernel.c: a kernel is its C function, which the parameters already hold; nothing is compiled.
#include "hostlib/ref/ref.h"

#include <stdlib.h>

enum sy_status sy_ref_kernel_create(struct sy_device *device, const struct sy_kernel_params *params,
                                    struct sy_kernel **out)
{
    struct sy_kernel *kernel = calloc(1, sizeof *kernel);
    if (kernel == NULL)
        return sy_fail(device->ctx, SY_NOMEM, "out of host memory for kernel %s", params->source.name);
    *out = kernel;
    return SY_OK;
}

void sy_ref_kernel_destroy(struct sy_kernel *kernel) { free(kernel); }
