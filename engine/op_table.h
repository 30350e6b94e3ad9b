// SPDX-License-Identifier: Apache-2.0
// op_table.h: the generated tables behind op.h and variant.h (kernels/embed.py writes them at build time).
// Layer: engine, private to op.c and variant.c.
#pragma once

#include "engine/variant.h"

/// Which of a source's compiled shaders: the element types F, B and M of ops.def.
enum sy_spirv_index { SY_SPIRV_F, SY_SPIRV_B, SY_SPIRV_M, SY_SPIRV_COUNT };

/// One SPIR-V module; empty when there is none for these types or the build has no shader compiler.
struct sy_spirv {
    const uint32_t *words;
    size_t bytes;
};

extern const struct sy_op_info sy_op_infos[SY_OP_COUNT];
extern const struct sy_variant sy_variants[SY_VARIANT_COUNT];
extern const char *const sy_variant_cl_texts[SY_VARIANT_COUNT];
extern const struct sy_spirv sy_variant_spirvs[SY_VARIANT_COUNT][SY_SPIRV_COUNT];
