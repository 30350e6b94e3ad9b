// SPDX-License-Identifier: Apache-2.0
// exp.cl.h: e^x written out for CPUs, whose drivers take a vector's exp apart into a call for each lane.
//
// About 1 ulp for x ≤ 88 (beyond: e^88), 0 below −87, NaN of NaN. A float and a lane of a vector give the same bits.
#ifndef SY_EXP_CL_H
#define SY_EXP_CL_H

#define SY_EXP(F, I)                                                                                        \
    __attribute__((always_inline, overloadable)) static inline F sy_exp(F x)                                \
    {                                                                                                       \
        const F low = x < (F)(-88.0f) ? (F)(-88.0f) : x, y = low > (F)(88.0f) ? (F)(88.0f) : low;           \
        const F n = (y * 1.44269504f + 12582912.0f) - 12582912.0f; /* nearest integer: contraction is off */ \
        const F r = fma(n, (F)(2.12194440e-4f), fma(n, (F)(-0.693359375f), y));                             \
        F e = fma(r, (F)(1.9875691500e-4f), (F)(1.3981999507e-3f));                                         \
        e = fma(e, r, (F)(8.3334519073e-3f));                                                               \
        e = fma(e, r, (F)(4.1665795894e-2f));                                                               \
        e = fma(e, r, (F)(1.6666665459e-1f));                                                               \
        e = fma(e, r, (F)(5.0000001201e-1f));                                                               \
        e = fma(e, r * r, r + 1.0f) * SY_CAT(as_, F)((SY_CAT(convert_, I)(n) + 127) << 23);                 \
        return x < (F)(-87.0f) ? (F)(0.0f) : e;                                                             \
    }
SY_EXP(float, int)
SY_EXP(float4, int4)
SY_EXP(float8, int8)
SY_EXP(float16, int16)
#if WG == 1
#define E_TO_THE sy_exp
#else
#define E_TO_THE exp
#endif
#endif
