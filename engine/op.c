// SPDX-License-Identifier: Apache-2.0
// op.c: the op registry: lookups in the tables generated from ops.def, launch knobs, kernel parameters.
#include "engine/op_table.h"

const struct sy_op_info *sy_op_info(enum sy_op_id op)
{
    assert((unsigned)op < SY_OP_COUNT);
    return &sy_op_infos[op];
}

enum sy_op_id sy_op_find(const char *name)
{
    unsigned op = 0;
    while (op < SY_OP_COUNT && strcmp(sy_op_infos[op].name, name) != 0)
        ++op;
    return (enum sy_op_id)op;
}

static uint32_t floor_power_of_two(uint32_t n)
{
    uint32_t power = 1;
    while (power <= n / 2)
        power *= 2;
    return power;
}

struct sy_knobs sy_op_knobs(enum sy_op_id op, const struct sy_caps *caps)
{
    struct sy_knobs knobs = {.device_class = caps->device_class, .wg = 1, .vec = 1};
    if (caps->device_class == SY_CLASS_CPU) {
        knobs.vec = 16;
    } else if (caps->device_class == SY_CLASS_SIMT) {
        uint32_t wanted = sy_op_info(op)->impl->wg_simt;
        wanted = wanted != 0 ? wanted : 64;
        knobs.wg = floor_power_of_two(wanted < caps->max_wg ? wanted : caps->max_wg);
        knobs.vec = 4;
    }
    return knobs;
}

enum sy_dtype sy_op_dtype(const struct sy_op_info *info, uint32_t i, enum sy_op_types types)
{
    assert(i < info->binding_count);
    const enum sy_dtype f = types == SY_TYPES_D ? SY_F64 : SY_F32;
    switch (info->binding_types[i]) {
    case 't': return types == SY_TYPES_B || types == SY_TYPES_M ? SY_BF16 : f;
    case 'o': return types == SY_TYPES_B ? SY_BF16 : f;
    case 'f': return f;
    case 'i': return SY_I32;
    default: return SY_U32; // the step constants: a block of 4-byte words
    }
}

struct sy_kernel_source sy_op_source(enum sy_op_id op, enum sy_op_types types)
{
    const struct sy_op_info *info = sy_op_info(op);
    struct sy_kernel_source source = {.name = info->name, .ref = info->impl->ref};
    if (types == SY_TYPES_D) // double exists in `ref` only
        return source;
    const enum sy_spirv_index index = types == SY_TYPES_F ? SY_SPIRV_F : types == SY_TYPES_B ? SY_SPIRV_B : SY_SPIRV_M;
    source.cl_text = sy_op_cl_texts[op];
    source.spirv = sy_op_spirvs[op][index].words;
    source.spirv_bytes = sy_op_spirvs[op][index].bytes;
    return source;
}

void sy_op_kernel_params(enum sy_op_id op, enum sy_op_types types, const struct sy_caps *caps,
                         struct sy_kernel_params *out)
{
    const struct sy_op_info *info = sy_op_info(op);
    const struct sy_knobs knobs = sy_op_knobs(op, caps);
    *out = (struct sy_kernel_params){
        .source = sy_op_source(op, types),
        .cl_defines = types == SY_TYPES_B   ? "-DT_BF16 -DO_BF16"
                      : types == SY_TYPES_M ? "-DT_BF16"
                                            : "",
        .wg = knobs.wg,
        .vec = knobs.vec,
        .binding_count = info->binding_count,
        .const_binding = info->const_binding,
        .args_bytes = info->args_bytes,
    };
    for (uint32_t i = 0; i < info->binding_count; ++i)
        out->types[i] = sy_op_dtype(info, i, types);
}
