// SPDX-License-Identifier: Apache-2.0
// activation.glsl: the activations a · s(a) of act and geglu and their backward ops; the GLSL twin of
// kernels/activation.cl.h.
#define GELU_C 0.7978845608028654 // sqrt(2/π)
#define GELU_A 0.044715

// The clamp keeps exp finite, where the result is 0 in f32 anyway: GLSL promises nothing about infinities.
// A comparison, not min(): what min() makes of NaN is undefined, and NaN must come out as NaN.
float act_logistic(float u) { return 1.0 / (1.0 + exp(u < -88.0 ? 88.0 : -u)); }

float act_normal(float a)
{
    const float z = 0.70710678 * abs(a), t = 1.0 / (1.0 + 0.5 * z);
    float p = 0.19013103;
    p = p * t - 0.91243482;
    p = p * t + 1.6672421;
    p = p * t - 1.3295958;
    p = p * t + 0.40547022;
    p = p * t - 0.23675546;
    p = p * t + 0.10886633;
    p = p * t + 0.37245864;
    p = p * t + 1.0001330;
    p = p * t - 1.2655149;
    const float u = p - z * z, half_erfc = 0.5 * t * exp(u < -88.0 ? -88.0 : u);
    return a < 0.0 ? half_erfc : 1.0 - half_erfc;
}

// s(a)
float act_share(uint act, float a)
{
    if (act == SY_ACT_GELU)
        return act_normal(a);
    if (act == SY_ACT_SILU)
        return act_logistic(a);
    if (act == SY_ACT_QUICK_GELU)
        return act_logistic(1.702 * a);
    if (act == SY_ACT_RELU)
        return a < 0.0 ? 0.0 : 1.0;
    return act_logistic(2.0 * GELU_C * a * (1.0 + GELU_A * a * a));
}

// The slope of a · s(a), given s.
float act_slope(uint act, float a, float s)
{
    if (act == SY_ACT_GELU)
        return s + 0.5 * GELU_C * a * exp(a * a > 176.0 ? -88.0 : -0.5 * a * a);
    if (act == SY_ACT_SILU)
        return s + a * s * (1.0 - s);
    if (act == SY_ACT_QUICK_GELU)
        return s + 1.702 * a * s * (1.0 - s);
    if (act == SY_ACT_RELU)
        return a > 0.0 ? 1.0 : 0.0;
    return s + 2.0 * GELU_C * a * s * (1.0 - s) * (1.0 + 3.0 * GELU_A * a * a);
}
