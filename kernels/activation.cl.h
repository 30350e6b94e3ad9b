// SPDX-License-Identifier: Apache-2.0
// activation.cl.h: the activations a · s(a) of act and geglu and their backward ops (SY_ACT_… in op_args.h); include
// after common.cl.h.
#ifndef SY_ACTIVATION_CL_H
#define SY_ACTIVATION_CL_H

#define GELU_C 0.7978845608028654f // sqrt(2/π)
#define GELU_A 0.044715f

// (1 + tanh u) / 2 = 1 / (1 + exp(−2u)): one exp, safe for any u.
// erfc(z) = t exp(P(t) − z²), t = 1 / (1 + z/2), for z ≥ 0, P fitted by least squares on [0, 20]: no language's erf()
// is needed, and the tail keeps its digits.
#define ERFC_P(t)                                            \
    (-1.2655149f +                                           \
     (t) * (1.0001330f +                                     \
            (t) * (0.37245864f +                             \
                   (t) * (0.10886633f +                      \
                          (t) * (-0.23675546f +              \
                                 (t) * (0.40547022f +        \
                                        (t) * (-1.3295958f + \
                                               (t) * (1.6672421f + (t) * (-0.91243482f + (t)*0.19013103f)))))))))

// Both for one number and for a vector of them.
#define ACTIVATION(F, suffix)                                                             \
    static inline F act_logistic##suffix(F u) { return 1.0f / (1.0f + exp(-u)); }         \
    static inline F act_normal##suffix(F a)                                               \
    {                                                                                     \
        const F z = 0.70710678f * (a < (F)(0.0f) ? -a : a), t = 1.0f / (1.0f + 0.5f * z); \
        const F half_erfc = 0.5f * t * exp(ERFC_P(t) - z * z);                            \
        return a < (F)(0.0f) ? half_erfc : 1.0f - half_erfc;                              \
    }                                                                                     \
    /* s(a) */                                                                            \
    static inline F act_share##suffix(uint act, F a)                                      \
    {                                                                                     \
        if (act == SY_ACT_GELU)                                                           \
            return act_normal##suffix(a);                                                 \
        if (act == SY_ACT_SILU)                                                           \
            return act_logistic##suffix(a);                                               \
        if (act == SY_ACT_QUICK_GELU)                                                     \
            return act_logistic##suffix(1.702f * a);                                      \
        if (act == SY_ACT_RELU)                                                           \
            return a < (F)(0.0f) ? (F)(0.0f) : (F)(1.0f);                                 \
        return act_logistic##suffix(2.0f * GELU_C * a * (1.0f + GELU_A * a * a));         \
    }                                                                                     \
    /* The slope of a · s(a), given s. */                                                \
    static inline F act_slope##suffix(uint act, F a, F s)                                 \
    {                                                                                     \
        if (act == SY_ACT_GELU)                                                           \
            return s + 0.5f * GELU_C * a * exp(-0.5f * a * a);                            \
        if (act == SY_ACT_SILU)                                                           \
            return s + a * s * (1.0f - s);                                                \
        if (act == SY_ACT_QUICK_GELU)                                                     \
            return s + 1.702f * a * s * (1.0f - s);                                       \
        if (act == SY_ACT_RELU)                                                           \
            return a > (F)(0.0f) ? (F)(1.0f) : (F)(0.0f);                                 \
        return s + 2.0f * GELU_C * a * s * (1.0f - s) * (1.0f + 3.0f * GELU_A * a * a);   \
    }
ACTIVATION(float, )
ACTIVATION(VF, _v)
#endif
