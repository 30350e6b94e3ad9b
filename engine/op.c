// SPDX-License-Identifier: Apache-2.0
// op.c: the op registry: lookups in the table generated from ops.def.
#include "engine/message.h"
#include "engine/op_table.h"

const struct sy_op_info *sy_op_info(enum sy_op_id op)
{
    assert((unsigned)op < SY_OP_END && op != SY_OP_COUNT);
    return sy_op_is_message(op) ? sy_message_info(op) : &sy_op_infos[op];
}

enum sy_op_id sy_op_find(const char *name)
{
    unsigned op = 0;
    while (op < SY_OP_COUNT && strcmp(sy_op_infos[op].name, name) != 0)
        ++op;
    return (enum sy_op_id)op;
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

double sy_op_bytes(const struct sy_op_info *info, enum sy_op_types types, const void *args)
{
    double bytes = 0.0;
    for (uint32_t i = 0; i < info->binding_count; ++i) {
        const uint64_t elements =
            info->impl->moved != NULL ? info->impl->moved(args, i) : info->impl->elements(args, i);
        const uint32_t ways = ((info->read_mask & ~info->impl->only_written) >> i & 1u) + (info->write_mask >> i & 1u);
        bytes += (double)elements * ways * (double)sy_dtype_bytes(sy_op_dtype(info, i, types));
    }
    return bytes;
}

static uint64_t one_element(const void *args, uint32_t i, uint64_t *planes)
{
    (void)args, (void)i, (void)planes;
    return 1;
}

static void some_elements(void *args, uint64_t first, uint64_t count)
{
    (void)first;
    *(u32 *)args = (u32)count;
}

const struct sy_axis sy_axis_elements = {.unit = one_element, .some = some_elements};
