// SPDX-License-Identifier: Apache-2.0
// dtype.h: element types of buffers, and bf16 conversion on the host.
// Layer: hostlib (no dependencies).
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum sy_dtype {
    SY_F32,
    SY_BF16, ///< Upper half of an f32. Storage only: arithmetic is always f32.
    SY_F64,  ///< The `ref` backend only: gradient checks.
    SY_I32,
    SY_U32,
};

static inline size_t sy_dtype_bytes(enum sy_dtype t) { return t == SY_BF16 ? 2 : t == SY_F64 ? 8 : 4; }

static inline float sy_bf16_to_f32(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/// Rounds to nearest, ties to even; a NaN stays a (quiet) NaN.
static inline uint16_t sy_f32_to_bf16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
