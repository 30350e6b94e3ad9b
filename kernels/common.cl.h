// SPDX-License-Identifier: Apache-2.0
// common.cl.h: what every kernel starts with. Knobs, each with a default so that a file compiles alone:
//   WG   work-items of a work-group (1 on CPUs: reductions and barriers then compile away)
//   VEC  elements per vector step (16 on CPUs, 4 on GPUs)
//   T_BF16, O_BF16  storage of `t` and `o` bindings is bf16 instead of f32
#ifndef SY_COMMON_CL_H
#define SY_COMMON_CL_H
#pragma OPENCL FP_CONTRACT OFF
#include "op_args.h"

#ifndef WG
#define WG 64
#endif
#ifndef VEC
#define VEC 4
#endif
// Devices without CL_FP_FMA may compute fma() in a hundred instructions (Mesa does so for AMD before RDNA). hostlib
// defines NO_FMA there, which takes what the device has instead; sums then differ from other devices' in the last bits.
#ifdef NO_FMA
#define fma mad
#endif
#define SY_CAT_(a, b) a##b
#define SY_CAT(a, b) SY_CAT_(a, b)
#define VF SY_CAT(float, VEC)
#define VU SY_CAT(uint, VEC)
#define VUS SY_CAT(ushort, VEC)
#define V_AS_F SY_CAT(as_float, VEC)
#define V_AS_U SY_CAT(as_uint, VEC)
#define V_TO_U SY_CAT(convert_uint, VEC)
#define V_TO_US SY_CAT(convert_ushort, VEC)
#define V_LOAD SY_CAT(vload, VEC)
#define V_OF(x) ((VF)(x))
#define F_LDV(p, i) V_LOAD(0, (p) + (i))
#define F_STV(p, i, v) V_STORE((v), 0, (p) + (i))

#define KERNEL __kernel __attribute__((reqd_work_group_size(WG, 1, 1)))
// Before KERNEL, for kernels with 64 sums an item. Intel's GPUs from Xe-HPC on (those that load 2D blocks) have
// registers of 16 lanes; a wave of 32 lanes, which their compiler may choose, would leave an item 64 of them.
#if WG > 1 && defined(cl_intel_required_subgroup_size) && defined(cl_intel_subgroup_2d_block_io)
#define MANY_SUMS __attribute__((intel_reqd_sub_group_size(16)))
#else
#define MANY_SUMS
#endif
// Linear index of the work-group. A launch may be of a part of them only (hostlib/pace.h), and ids count from its first.
// On Vulkan the grid may be folded, so kernels guard it there and here alike.
#define GROUP_ID ((uint)get_group_id(0) + (uint)get_global_offset(0) / WG)
#define GROUP_GUARD(total)
// For bodies that both languages include: casts, sums, step constants, and whether a group is known to have one item.
#define UINT(x) ((uint)(x))
#define INT(x) ((int)(x))
#define FLOAT(x) ((float)(x))
#define FLOAT_BITS(x) as_uint(x)
#define SUM_OF_GROUP(value, result) GROUP_SUM(scratch, value, result) // LOCAL_SCRATCH(scratch) is the kernel's
#define STEP_OF(field) c->field
#define UNROLL _Pragma("unroll")
#define ALONE (WG == 1)
#if WG == 1
#define LOCAL_ID 0u
#define BARRIER()
#else
#define LOCAL_ID ((uint)get_local_id(0)) // read once into a const local
#define BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
#endif

static inline float bf16_load(ushort h) { return as_float((uint)h << 16); }
static inline ushort bf16_round(float f)
{
    const uint b = as_uint(f);
    if ((b & 0x7fffffffu) > 0x7f800000u)
        return (ushort)((b >> 16) | 0x40u);
    return (ushort)((b + 0x7fffu + ((b >> 16) & 1u)) >> 16);
}
static inline VF bf16_load_v(VUS h) { return V_AS_F(V_TO_U(h) << 16); }
static inline VUS bf16_round_v(VF f)
{
    const VU b = V_AS_U(f);
    const VU r = (b + 0x7fffu + ((b >> 16) & 1u)) >> 16;
    const VU nan = (b >> 16) | 0x40u;
    return V_TO_US(select(r, nan, (b & 0x7fffffffu) > 0x7f800000u));
}

// sy_put(v, p) stores a vector at p, V_STORE() one of VEC elements as the vstore of that width does. PoCL's vstores write
// in pieces (floats four at a time, shorts one by one), and a load of the whole soon after must wait for all of them; an
// assignment through a type with the alignment of one element is a single store. (Its vload is fine; other devices keep
// the builtin.)
#if WG == 1
#define SY_PUT(n, element, space)                                                              \
    typedef element##n SY_CAT(SY_CAT(element##n, _in), space) __attribute__((aligned(sizeof(element)))); \
    __attribute__((always_inline, overloadable)) static inline void sy_put(element##n v, space element *p) \
    {                                                                                          \
        *(space SY_CAT(SY_CAT(element##n, _in), space) *)p = v;                                \
    }
#define SY_PUTS(n) \
    SY_PUT(n, float, __global) SY_PUT(n, int, __global) SY_PUT(n, uint, __global) SY_PUT(n, ushort, __global) \
    SY_PUT(n, float, __private)
SY_PUTS(4) SY_PUTS(8) SY_PUTS(16)
#define V_STORE(v, i, p) sy_put(v, (p) + (i)*VEC)
#else
#define V_STORE SY_CAT(vstore, VEC)
#endif

// Before a loop over what whole vectors leave: a CPU's compiler would make vectors of it again, in several ways, and take
// longer for that than for all the rest.
#if WG == 1
#define SCALARS _Pragma("clang loop vectorize_width(1) interleave_count(1)")
#else
#define SCALARS
#endif

// Asks for bytes that a CPU's own guesses do not reach: of rows that are found through a table. Elsewhere, and for a
// compiler that makes no x86 code (Oclgrind's), nothing. FETCH_FAR asks the second cache for them: whole rows from memory
// would fill the first cache's list of what it waits for, and loads would queue behind it.
#if WG == 1 && defined(__x86_64__)
#define FETCH_INTO(p, bytes, locality)                      \
    for (uint fetch_ = 0u; fetch_ < (bytes); fetch_ += 64u) \
    __builtin_prefetch((const char *)(size_t)(p) + fetch_, 0, locality)
#else
#define FETCH_INTO(p, bytes, locality)
#endif
#define FETCH(p, bytes) FETCH_INTO(p, bytes, 3)
#define FETCH_FAR(p, bytes) FETCH_INTO(p, bytes, 2)

#ifdef T_BF16
typedef ushort T;
#define T_LD(p, i) bf16_load((p)[i])
#define T_ST(p, i, v) ((p)[i] = bf16_round(v))
#define T_LDV(p, i) bf16_load_v(V_LOAD(0, (p) + (i)))
#define T_STV(p, i, v) V_STORE(bf16_round_v(v), 0, (p) + (i))
#define T_COPYV(to, from) V_STORE(V_LOAD(0, from), 0, to) // VEC elements as they are
#else
typedef float T;
#define T_LD(p, i) ((p)[i])
#define T_ST(p, i, v) ((p)[i] = (v))
#define T_LDV(p, i) V_LOAD(0, (p) + (i))
#define T_STV(p, i, v) V_STORE((v), 0, (p) + (i))
#define T_COPYV(to, from) V_STORE(V_LOAD(0, from), 0, to)
#endif
// T_COPY_LINE copies T_LINE elements as they are: on CPUs a line of the cache. (A vector of bf16 goes in pieces of 16 bytes.)
#if WG == 1
typedef float16 sy_line __attribute__((aligned(2)));
#define T_LINE ((uint)(64u / sizeof(T)))
#define T_COPY_LINE(to, from) (*(__global sy_line *)(to) = *(__global const sy_line *)(from))
#else
#define T_LINE ((uint)VEC)
#define T_COPY_LINE T_COPYV
#endif
// 2·VEC elements at once for work-groups of one, as two vectors: T_LD2 and T_ST2 agree on which element lies where. Words of
// two bf16 become vectors by a shift and a mask; one bf16 a lane takes shuffles both ways, of which a CPU does one a clock.
#if WG == 1
#define T_PAIR (2u * VEC)
#ifdef T_BF16
typedef VU sy_words __attribute__((aligned(2)));
static inline VU bf16_round_words(VF f) // in the upper half; the lower is anything
{
    const VU b = V_AS_U(f);
    return select(b + 0x7fffu + ((b >> 16) & 1u), b | 0x400000u, (b & 0x7fffffffu) > 0x7f800000u);
}
#define T_LD2(p, i, a, b)                                            \
    do {                                                             \
        const VU words_ = *(__global const sy_words *)((p) + (i));   \
        (a) = V_AS_F(words_ << 16), (b) = V_AS_F(words_ & 0xffff0000u); \
    } while (0)
#define T_ST2(p, i, a, b) \
    (*(__global sy_words *)((p) + (i)) = (bf16_round_words(a) >> 16) | (bf16_round_words(b) & 0xffff0000u))
#else
#define T_LD2(p, i, a, b) ((a) = F_LDV(p, i), (b) = F_LDV(p, (i) + VEC))
#define T_ST2(p, i, a, b) \
    do {                  \
        F_STV(p, i, a);   \
        F_STV(p, (i) + VEC, b); \
    } while (0)
#endif
#endif
#ifdef O_BF16
typedef ushort O;
#define O_LD(p, i) bf16_load((p)[i])
#define O_ST(p, i, v) ((p)[i] = bf16_round(v))
#define O_LDV(p, i) bf16_load_v(V_LOAD(0, (p) + (i)))
#define O_STV(p, i, v) V_STORE(bf16_round_v(v), 0, (p) + (i))
#else
typedef float O;
#define O_LD(p, i) ((p)[i])
#define O_ST(p, i, v) ((p)[i] = (v))
#define O_LDV(p, i) V_LOAD(0, (p) + (i))
#define O_STV(p, i, v) V_STORE((v), 0, (p) + (i))
#endif

// Sum of a vector's lanes, pairwise: the same order on every device.
static inline float vsum2(float2 v) { return v.x + v.y; }
static inline float vsum4(float4 v) { return vsum2(v.lo + v.hi); }
static inline float vsum8(float8 v) { return vsum4(v.lo + v.hi); }
static inline float vsum16(float16 v) { return vsum8(v.lo + v.hi); }
#define VSUM SY_CAT(vsum, VEC)
static inline float vmax4(float4 v) { return fmax(fmax(v.x, v.y), fmax(v.z, v.w)); }
static inline float vmax8(float8 v) { return vmax4(fmax(v.lo, v.hi)); }
static inline float vmax16(float16 v) { return vmax8(fmax(v.lo, v.hi)); }
#define VMAX SY_CAT(vmax, VEC)

// Sum over the work-group, in every item. `scratch` is __local float[WG]; call it at the kernel's top level only.
#if WG == 1
#define LOCAL_SCRATCH(name)
#define GROUP_SUM(name, value, result) const float result = (value)
#define GROUP_MAX(name, value, result) const float result = (value)
#else
#define LOCAL_SCRATCH(name) __local float name[WG]
#define GROUP_REDUCE_(name, value, result, expr)                \
    name[lid] = (value);                                        \
    BARRIER();                                                  \
    for (uint half_ = WG / 2; half_ > 0; half_ /= 2) {          \
        if (lid < half_) {                                      \
            const float a_ = name[lid], b_ = name[lid + half_]; \
            name[lid] = (expr);                                 \
        }                                                       \
        BARRIER();                                              \
    }                                                           \
    const float result = name[0];                               \
    BARRIER()
#define GROUP_SUM(name, value, result) GROUP_REDUCE_(name, value, result, a_ + b_)
#define GROUP_MAX(name, value, result) GROUP_REDUCE_(name, value, result, fmax(a_, b_))
#endif
#endif
