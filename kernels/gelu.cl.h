// SPDX-License-Identifier: Apache-2.0
// gelu.cl.h: the pieces of gelu_tanh for geglu and geglu_bwd; include after common.cl.h.
#ifndef SY_GELU_CL_H
#define SY_GELU_CL_H

#define GELU_C 0.7978845608028654f // sqrt(2/π)
#define GELU_A 0.044715f

// s = (1 + tanh u) / 2 = 1 / (1 + exp(−2u)): gelu(a) = a · s.
static inline VF gelu_sigmoid_v(VF a) { return 1.0f / (1.0f + exp(-2.0f * GELU_C * a * (1.0f + GELU_A * a * a))); }
static inline float gelu_sigmoid(float a) { return 1.0f / (1.0f + exp(-2.0f * GELU_C * a * (1.0f + GELU_A * a * a))); }

// gelu'(a), given s.
static inline VF gelu_slope_v(VF a, VF s)
{
    return s + 2.0f * GELU_C * a * s * (1.0f - s) * (1.0f + 3.0f * GELU_A * a * a);
}
static inline float gelu_slope(float a, float s)
{
    return s + 2.0f * GELU_C * a * s * (1.0f - s) * (1.0f + 3.0f * GELU_A * a * a);
}
#endif
