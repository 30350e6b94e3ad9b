// SPDX-License-Identifier: Apache-2.0
// coop.comp: compiled by Meson to see whether glslc knows cooperative matrices of bf16; never run.
#version 450
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_bfloat16 : require
layout(local_size_x = 32) in;
shared uvec4 slab[32];
void main()
{
    coopmat<bfloat16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA> a;
    coopMatLoad(a, slab, 0, 2, gl_CooperativeMatrixLayoutRowMajor);
    coopMatStore(a, slab, 0, 2, gl_CooperativeMatrixLayoutColumnMajor);
}
