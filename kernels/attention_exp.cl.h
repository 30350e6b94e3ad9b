// SPDX-License-Identifier: Apache-2.0
// attention_exp.cl.h: what all kernels of attention share: marks of what is not seen, the gradient of a score, and e^x.
#ifndef SY_ATTENTION_EXP_CL_H
#define SY_ATTENTION_EXP_CL_H

// Forced: private arrays must stay in registers, and PoCL 3.1 loses the writes of a helper that is left a call between
// two barriers.
#define ATT_INLINE __attribute__((always_inline)) static inline

// Score of a key that is not seen, and lse of a query that sees no key: exp(masked − none) and exp(masked − any lse)
// are 0 without a special case and without an infinity. A query row beyond tq gets the lse `absent`: its p are 0.
#define ATT_MASKED (-2e30f)
#define ATT_NONE (-1e30f)
#define ATT_ABSENT 1e30f

// ds = p·(dp − delta) with p = exp(x), x = score − lse. At x = 0 one key has all the weight and ds is 0, of which
// rounding would leave a little: enough for Adafactor to move q and k of a query that sees one key only.
#define ATT_DS(zero, x, prob, dp, delta) select((prob) * ((dp) - (delta)), zero, (x) >= 0.0f)

#if WG == 1
// e^x to about 1 ulp for x ≤ 88; 0 below −87. Written out because exp(float16) falls apart into 16 calls on some
// drivers.
ATT_INLINE float16 att_exp(float16 x)
{
    const float16 y = clamp(x, -88.0f, 88.0f);
    const float16 n = (y * 1.44269504f + 12582912.0f) - 12582912.0f; // nearest integer: contraction is off
    const float16 r = fma(n, (float16)2.12194440e-4f, fma(n, (float16)-0.693359375f, y));
    float16 e = fma(r, (float16)1.9875691500e-4f, (float16)1.3981999507e-3f);
    e = fma(e, r, (float16)8.3334519073e-3f);
    e = fma(e, r, (float16)4.1665795894e-2f);
    e = fma(e, r, (float16)1.6666665459e-1f);
    e = fma(e, r, (float16)5.0000001201e-1f);
    e = fma(e, r * r, r + 1.0f);
    return select((float16)0.0f, e * as_float16((convert_int16(n) + 127) << 23), x > -87.0f);
}
#endif
#endif
