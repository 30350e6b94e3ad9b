// SPDX-License-Identifier: Apache-2.0
// gelu.glsl: the pieces of gelu_tanh for geglu and geglu_bwd; the GLSL twin of kernels/gelu.cl.h.
#define GELU_C 0.7978845608028654 // sqrt(2/π)
#define GELU_A 0.044715

// s = (1 + tanh u) / 2 = 1 / (1 + exp(−2u)): gelu(a) = a · s. The clamp keeps exp finite, where s is 0 in f32 anyway:
// GLSL promises nothing about infinities.
float gelu_sigmoid(float a) { return 1.0 / (1.0 + exp(min(-2.0 * GELU_C * a * (1.0 + GELU_A * a * a), 88.0))); }

// gelu'(a), given s.
float gelu_slope(float a, float s)
{
    return s + 2.0 * GELU_C * a * s * (1.0 - s) * (1.0 + 3.0 * GELU_A * a * a);
}
