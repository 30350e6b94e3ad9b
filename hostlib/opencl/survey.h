// SPDX-License-Identifier: Apache-2.0
// survey.h: finds OpenCL devices and describes them. Private to hostlib/opencl.
#pragma once

#include "hostlib/opencl/opencl.h"

struct sy_cl_found {
    cl_platform_id platform;
    cl_device_id device;
};

/// Every device of every platform, in the order of the drivers. `*out` is owned by the caller (free()).
SY_MUST_CHECK enum sy_status sy_cl_find(struct sy_ctx *ctx, struct sy_cl_found **out, size_t *out_count);
/// Everything in `caps` but its id, which device.c gives.
void sy_cl_fill_caps(const struct sy_cl_found *found, struct sy_caps *caps);
/// The mandatory feature that the device lacks, or NULL.
const char *sy_cl_missing(const struct sy_cl_found *found);
/// Whether fma() runs in hardware. Where it does not it may take a hundred instructions: Mesa emulates it for AMD's
/// GPUs before RDNA.
bool sy_cl_has_fma(const struct sy_cl_found *found);
/// Whether this process may use the matrix unit of the CPU that it runs on; asks the kernel for its state.
bool sy_cl_amx(void);
/// Whether this CPU has AVX-512's products of pairs of bf16.
bool sy_cl_avx512_bf16(void);
