// SPDX-License-Identifier: Apache-2.0
// dot.cl.h: AVX-512's products of pairs of bf16, in functions marked DOT: elsewhere the compiler's target has none.
#ifndef SY_DOT_CL_H
#define SY_DOT_CL_H
#include "common.cl.h"

#define DOT __attribute__((target("avx512f,avx512bw,avx512bf16")))
// sum[i] += a[i].lo · b[i].lo + a[i].hi · b[i].hi. No built-in: its types changed with clang 17.
#define DOT_PAIRS(sum, a, b) __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))

// Pairs of low[i] and high[i], rounded to bf16.
DOT __attribute__((always_inline)) static inline uint16 dot_round(float16 low, float16 high)
{
    typedef ushort halves __attribute__((ext_vector_type(32)));
    uint16 both;
    __asm__("vcvtne2ps2bf16 %2, %1, %0" : "=v"(both) : "v"(high), "v"(low));
    const halves h = __builtin_astype(both, halves);
    return __builtin_astype(__builtin_shufflevector(h, h, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25,
                                                    10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31), uint16);
}
#endif
