// SPDX-License-Identifier: Apache-2.0
// philox.h: Philox4x32-10 counter-based random numbers (Salmon et al., SC'11), for C11, OpenCL C and GLSL.
// Key = (seed_lo, seed_hi ^ step). Counter = (col / 4, row, stream, plane); element col takes word col % 4.
#ifndef SY_PHILOX_H
#define SY_PHILOX_H
#include "op_args.h"

#if defined(VULKAN)
#define SY_U4 uvec4
u32 sy_mulhi(u32 a, u32 b) { uint hi, lo; umulExtended(a, b, hi, lo); return hi; }
#define SY_MAKE_U4(x, y, z, w) uvec4(x, y, z, w)
#define SY_INLINE
#elif defined(__OPENCL_C_VERSION__)
#define SY_U4 uint4
#define sy_mulhi(a, b) mul_hi((uint)(a), (uint)(b))
#define SY_MAKE_U4(x, y, z, w) (uint4)(x, y, z, w)
#define SY_INLINE static inline
#else
struct sy_u4 { u32 x, y, z, w; };
#define SY_U4 struct sy_u4
static inline u32 sy_mulhi(u32 a, u32 b) { return (u32)(((uint64_t)a * b) >> 32); }
#define SY_MAKE_U4(x, y, z, w) ((struct sy_u4){x, y, z, w})
#define SY_INLINE static inline
#endif

SY_INLINE SY_U4 sy_philox(u32 c0, u32 c1, u32 c2, u32 c3, u32 k0, u32 k1)
{
    for (u32 round = 0u; round < 10u; ++round) {
        u32 hi0 = sy_mulhi(0xD2511F53u, c0), lo0 = 0xD2511F53u * c0;
        u32 hi1 = sy_mulhi(0xCD9E8D57u, c2), lo1 = 0xCD9E8D57u * c2;
        c0 = hi1 ^ c1 ^ k0;
        c1 = lo1;
        c2 = hi0 ^ c3 ^ k1;
        c3 = lo0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return SY_MAKE_U4(c0, c1, c2, c3);
}

// The 32 random bits of element (row, col) of `plane` in `stream`.
SY_INLINE u32 sy_random_bits(u32 seed_lo, u32 seed_hi, u32 step, u32 stream, u32 plane, u32 row, u32 col)
{
    SY_U4 r = sy_philox(col / 4u, row, stream, plane, seed_lo, seed_hi ^ step);
    u32 lane = col % 4u;
    return lane == 0u ? r.x : lane == 1u ? r.y : lane == 2u ? r.z : r.w;
}

// A factor in [1 − eps, 1 + eps): 1 + eps·s with s = (bits/2^8 − 2^23)/2^23, exact; two roundings, never fused.
#if defined(VULKAN)
f32 sy_jitter(u32 bits, f32 eps)
{
    precise float s = (float(bits >> 8) - 8388608.0) * (1.0 / 8388608.0);
    precise float d = eps * s;
    precise float r = 1.0 + d;
    return r;
}
#else
SY_INLINE f32 sy_jitter(u32 bits, f32 eps)
{
    f32 s = ((f32)(bits >> 8) - 8388608.0f) * (1.0f / 8388608.0f);
    f32 d = eps * s; // kernels and C are built with contraction off
    return 1.0f + d;
}
#endif
#endif
