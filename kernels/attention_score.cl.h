// SPDX-License-Identifier: Apache-2.0
// attention_score.cl.h: what all kernels of attention share: marks of what is not seen, and the gradient of a score.
#ifndef SY_ATTENTION_SCORE_CL_H
#define SY_ATTENTION_SCORE_CL_H

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
#endif
