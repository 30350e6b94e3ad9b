// SPDX-License-Identifier: Apache-2.0
// op_table.h: the generated tables behind op.h (kernels/embed.py writes them at build time).
// Layer: engine, private to op.c.
#pragma once

#include "engine/op.h"

/// Which of an op's compiled shaders: the variants F, B and M of ops.def.
enum sy_spirv_index { SY_SPIRV_F, SY_SPIRV_B, SY_SPIRV_M, SY_SPIRV_COUNT };

/// One SPIR-V module; empty when the variant does not exist or the build has no shader compiler.
struct sy_op_spirv {
    const uint32_t *words;
    size_t bytes;
};

extern const struct sy_op_info sy_op_infos[SY_OP_COUNT];
extern const char *const sy_op_cl_texts[SY_OP_COUNT];
extern const struct sy_op_spirv sy_op_spirvs[SY_OP_COUNT][SY_SPIRV_COUNT];
