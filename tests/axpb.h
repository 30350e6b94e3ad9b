// SPDX-License-Identifier: Apache-2.0
// axpb.h: the kernel that tests of hostlib run, in all three languages: y = y · factor + x + add.
#pragma once

#include "hostlib/kernel.h"
#include "tests/data/axpb.spv.h"

struct axpb_args {
    uint32_t n;
    float add;
};

static const char axpb_cl[] =
    "struct args { uint n; float add; };\n"
    "__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void axpb(__global const float *restrict x,\n"
    "    __constant float *factor, __global float *restrict y, const struct args p)\n"
    "{\n"
    "    const uint i = (uint)get_group_id(0) * WG + (uint)get_global_offset(0) + (uint)get_local_id(0);\n"
    "    if (i < p.n)\n"
    "        y[i] = y[i] * factor[0] + x[i] + p.add;\n"
    "}\n";

static inline void axpb_ref(const void *args, const struct sy_ref_tensor *b)
{
    const struct axpb_args *p = args;
    const float *x = b[0].data, *factor = b[1].data;
    float *y = b[2].data;
    for (uint32_t i = 0; i < p->n; ++i)
        y[i] = y[i] * factor[0] + x[i] + p->add;
}

static inline struct sy_kernel_params axpb_params(const struct sy_caps *caps)
{
    return (struct sy_kernel_params){
        .source = {.name = "axpb",
                   .cl_text = axpb_cl,
                   .spirv = axpb_spirv,
                   .spirv_bytes = sizeof axpb_spirv,
                   .ref = axpb_ref},
        .cl_defines = "",
        .wg = caps->device_class != SY_CLASS_SIMT ? 1
              : caps->max_wg < 64                 ? caps->max_wg
                                                  : 64,
        .vec = 4,
        .binding_count = 3,
        .const_binding = 1,
        .args_bytes = sizeof(struct axpb_args),
        .types = {SY_F32, SY_F32, SY_F32},
    };
}
