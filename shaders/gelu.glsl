// SPDX-License-Identifier: Apache-2.0
// gelu.glsl: the pieces of gelu_tanh for geglu and geglu_bwd; the GLSL twin of kernels/gelu.cl.h.
#define GELU_C 0.7978845608028654 // sqrt(2/π)
#define GELU_A 0.044715

// s = (1 + tanh u) / 2 = 1 / (1 + exp(−2u)): gelu(a) = a · s. The clamp keeps exp finite, where s is 0 in f32 anyway:
// GLSL promises nothing about infinities.
// A comparison, not min(): what min() makes of NaN is undefined, and NaN must come out as NaN.
float gelu_sigmoid(float a)
{
    const float u = -2.0 * GELU_C * a * (1.0 + GELU_A * a * a);
    return 1.0 / (1.0 + exp(u > 88.0 ? 88.0 : u));
}

// gelu'(a), given s.
float gelu_slope(float a, float s)
{
    return s + 2.0 * GELU_C * a * s * (1.0 - s) * (1.0 + 3.0 * GELU_A * a * a);
}
