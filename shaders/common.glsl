// SPDX-License-Identifier: Apache-2.0
// common.glsl: what every shader starts with; the GLSL twin of kernels/common.cl.h.
// T_BF16, O_BF16 are compile-time (one SPIR-V per element type); WG is specialisation constant 0.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : enable
#include "op_args.h"

layout(constant_id = 0) const uint WG = 64;
layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;

#define GROUP_ID (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x)
#define GROUP_GUARD(total) if (GROUP_ID >= (total)) return // uniform in the work-group
#define LOCAL_ID gl_LocalInvocationID.x
#define BARRIER() barrier()
// For bodies that both languages include: casts, sums, step constants, and whether a group is known to have one item.
#define UINT(x) uint(x)
#define INT(x) int(x)
#define FLOAT(x) float(x)
#define FLOAT_BITS(x) floatBitsToUint(x)
#define SUM_OF_GROUP(value, result) GROUP_SUM(value, result)
#define STEP_OF(field) c.field
#define UNROLL [[unroll]]
#define ALONE 0
// Their vectors have one element, and nothing is left behind the last one; or four, where a file defines VEC so, starts
// them at multiples of four, and declares the bindings with a second name (below).
#ifndef VEC
#define VEC 1
#endif
#if VEC == 4
#define VF vec4
#define F_LDV(x, i) x##4[(i) / 4u]
#define F_STV(x, i, v) x##4[(i) / 4u] = (v)
#define T_LDV(x, i) T4_LD(x##4, (i) / 4u)
#define T_STV(x, i, v) T4_ST(x##4, (i) / 4u, v)
#else
#define VF float
#define F_LDV(x, i) x[i]
#define F_STV(x, i, v) x[i] = (v)
#define T_LDV(x, i) T_LD(x, i)
#define T_STV(x, i, v) T_ST(x, i, v)
#endif
#define V_OF(x) VF(x)

// Bindings: IN/OUT/INOUT(number, element type, name). STEP(number) declares the step constants `c`.
#define IN(b, type, name) layout(std430, set = 0, binding = b) readonly restrict buffer Buf_##name { type name[]; }
#define OUT(b, type, name) layout(std430, set = 0, binding = b) writeonly restrict buffer Buf_##name { type name[]; }
#define INOUT(b, type, name) layout(std430, set = 0, binding = b) restrict buffer Buf_##name { type name[]; }
#define STEP(b) layout(std140, set = 0, binding = b) uniform Buf_step { sy_step c; }
// The same with a second name, NAME4, for four elements at once (T4_LD, T4_ST): every binding starts at a multiple of
// 16 bytes, so element i is in NAME4[i / 4] whole. A GPU moves a third of its bandwidth by single 16-bit elements.
#define IN4(b, type, name) IN(b, type, name); layout(std430, set = 0, binding = b) readonly buffer Buf4_##name { type##4 name##4[]; }
#define OUT4(b, type, name) OUT(b, type, name); layout(std430, set = 0, binding = b) writeonly buffer Buf4_##name { type##4 name##4[]; }
#define INOUT4(b, type, name) INOUT(b, type, name); layout(std430, set = 0, binding = b) buffer Buf4_##name { type##4 name##4[]; }
#define ARGS(type) layout(push_constant) uniform Args { type p; }

float bf16_to_float(uint h) { return uintBitsToFloat(h << 16); }
uint float_to_bf16(float f)
{
    const uint b = floatBitsToUint(f);
    if ((b & 0x7fffffffu) > 0x7f800000u)
        return (b >> 16) | 0x40u;
    return (b + 0x7fffu + ((b >> 16) & 1u)) >> 16;
}

vec4 bf16_to_vec4(uvec2 h) { return uintBitsToFloat(uvec4(h.x << 16, h.x & 0xffff0000u, h.y << 16, h.y & 0xffff0000u)); }
uvec2 vec4_to_bf16(vec4 f)
{
    const uvec4 b = floatBitsToUint(f);
    const uvec4 h = mix((b + 0x7fffu + ((b >> 16) & 1u)) >> 16, (b >> 16) | 0x40u,
                        greaterThan(b & 0x7fffffffu, uvec4(0x7f800000u)));
    return uvec2(h.y << 16 | h.x, h.w << 16 | h.z);
}

#define float4 vec4
#ifdef T_BF16
#define T uint16_t
#define T4 uvec2
#define T4_LD(x, i) bf16_to_vec4(x[i])
#define T4_ST(x, i, v) x[i] = vec4_to_bf16(v)
#define T_LD(x, i) bf16_to_float(uint(x[i]))
#define T_ST(x, i, v) x[i] = uint16_t(float_to_bf16(v))
#else
#define T float
#define T4 vec4
#define T4_LD(x, i) x[i]
#define T4_ST(x, i, v) x[i] = (v)
#define T_LD(x, i) x[i]
#define T_ST(x, i, v) x[i] = (v)
#endif
#ifdef O_BF16
#define O uint16_t
#define O_LD(x, i) bf16_to_float(uint(x[i]))
#define O_ST(x, i, v) x[i] = uint16_t(float_to_bf16(v))
#else
#define O float
#define O_LD(x, i) x[i]
#define O_ST(x, i, v) x[i] = (v)
#endif

// Reductions over the work-group; the result is in every invocation. Call at the top level of main() only.
// `group_scratch` is declared by LOCAL_SCRATCH in files that reduce.
#define LOCAL_SCRATCH shared float group_scratch[WG]
#define GROUP_REDUCE_(value, result, expr)                                          \
    group_scratch[lid] = (value);                                                   \
    barrier();                                                                      \
    for (uint half_ = WG / 2u; half_ > 0u; half_ /= 2u) {                           \
        if (lid < half_) {                                                          \
            const float a_ = group_scratch[lid], b_ = group_scratch[lid + half_];   \
            group_scratch[lid] = (expr);                                            \
        }                                                                           \
        barrier();                                                                  \
    }                                                                               \
    const float result = group_scratch[0];                                          \
    barrier()
#define GROUP_SUM(value, result) GROUP_REDUCE_(value, result, a_ + b_)
#define GROUP_MAX(value, result) GROUP_REDUCE_(value, result, max(a_, b_))
