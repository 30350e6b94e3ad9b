// SPDX-License-Identifier: Apache-2.0
// activation.h: the reference's activations a · s(a) and their slopes, for act and geglu and their backward ops.
#pragma once

#include <math.h>

#include "kernels/op_args.h"

#define SY_GELU_C 0.79788456080286535588 // sqrt(2/π)

/// s(a): the share of `a` that passes.
static inline double sy_act_share(u32 act, double a)
{
    switch (act) {
    case SY_ACT_GELU: return 0.5 * erfc(-a * 0.70710678118654752440);
    case SY_ACT_SILU: return 1.0 / (1.0 + exp(-a));
    case SY_ACT_QUICK_GELU: return 1.0 / (1.0 + exp(-1.702 * a));
    case SY_ACT_RELU: return a < 0 ? 0.0 : 1.0;
    default: return 0.5 * (1.0 + tanh(SY_GELU_C * (a + 0.044715 * a * a * a)));
    }
}

/// The slope of a · s(a), given s.
static inline double sy_act_slope(u32 act, double a, double s)
{
    switch (act) {
    case SY_ACT_GELU: return s + 0.5 * SY_GELU_C * a * exp(-0.5 * a * a);
    case SY_ACT_SILU: return s + a * s * (1.0 - s);
    case SY_ACT_QUICK_GELU: return s + 1.702 * a * s * (1.0 - s);
    case SY_ACT_RELU: return a > 0 ? 1.0 : 0.0;
    default: return s + 2.0 * SY_GELU_C * a * s * (1.0 - s) * (1.0 + 3.0 * 0.044715 * a * a);
    }
}
