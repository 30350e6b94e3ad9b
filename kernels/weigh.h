// SPDX-License-Identifier: Apache-2.0
// weigh.h: what a token weighs in a draw, for C11, OpenCL C and GLSL: whole numbers, equal everywhere for equal logits, so
// their sums have no order and every device draws the same token.
//
// A token `below` the largest logit weighs ⌊2^31 · e^(−below / temperature)⌋ with e^… off by up to 3e-7 of itself; what
// has less than 2^-31 of the most probable token's weight is never drawn. The draw: 32 random bits r of the position
// (stream "samp") choose the first token, by id, at which the sum of weights exceeds ⌊r · all / 2^32⌋.
#ifndef SY_WEIGH_H
#define SY_WEIGH_H
#include "philox.h"

#define SY_DRAW_STREAM 0x73616d70u

#if defined(VULKAN)
#define SY_EXACT precise // no multiplication is fused with an addition
#define SY_F32(x) float(x)
#define SY_U32(x) uint(x)
#else
#if !defined(__OPENCL_C_VERSION__)
#include <stdbool.h>
#endif
#define SY_EXACT // kernels and C are built with contraction off
#define SY_F32(x) ((f32)(x))
#define SY_U32(x) ((u32)(x))
#endif

// `scale`: log2(e) / temperature.
SY_INLINE u32 sy_weigh(f32 below, f32 scale)
{
    SY_EXACT f32 y = below * scale;
    const bool counts = y < 32.0f; // a NaN does not
    SY_EXACT f32 z = counts ? y : 0.0f;
    const u32 halvings = SY_U32(z);
    SY_EXACT f32 f = z - SY_F32(halvings);
    SY_EXACT f32 e = f * -0.000944902712944895f; // 2^-f
    e = e + 0.00920579582452774f;
    e = e * f;
    e = e - 0.055297356098890305f;
    e = e * f;
    e = e + 0.2401801347732544f;
    e = e * f;
    e = e - 0.6931437253952026f;
    e = e * f;
    e = e + 1.0f;
    return counts ? SY_U32(e * 2147483648.0f) >> halvings : 0u;
}

// A number that is larger for a larger float; 0 for a NaN, the same for both zeros.
SY_INLINE u32 sy_key(u32 bits)
{
    const u32 b = bits == 0x80000000u ? 0u : bits;
    return (b & 0x7fffffffu) > 0x7f800000u ? 0u : (b >> 31) != 0u ? ~b : b | 0x80000000u;
}
// The bits of the float that has this key.
SY_INLINE u32 sy_unkey(u32 key) { return (key >> 31) != 0u ? key & 0x7fffffffu : ~key; }
#endif
