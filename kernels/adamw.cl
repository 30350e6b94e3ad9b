// SPDX-License-Identifier: Apache-2.0
// adamw: Adam with decoupled weight decay; g' = gs[0]·g.
//   m = beta1·m + (1 − beta1)·g', v = beta2·v + (1 − beta2)·g'²
//   w -= lr·(m·adam_c1 / (sqrt(v·adam_c2) + eps) + decay·w), the bias corrections adam_c1 and adam_c2 from c
//   g [n] f, gs [2] f, c → w, m, v [n] f (read and written)
// Launch: one work-group does SY_CHUNK(WG) elements. No reduction.
#include "common.cl.h"
#include "chunk.h"

KERNEL void adamw(__global const float *restrict g, __global const float *restrict gs, __constant struct sy_step *c,
                  __global float *restrict w, __global float *restrict m, __global float *restrict v,
                  const struct sy_adamw_args p)
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
    const uint lid = LOCAL_ID, start = GROUP_ID * SY_CHUNK(WG), n = min(SY_CHUNK(WG), p.n - start), full = n - n % VEC;
    const float clip = gs[0], lr = c->lr, c1 = c->adam_c1, c2 = c->adam_c2;
    for (uint i = lid * VEC; i < full; i += WG * VEC) {
        const uint at = start + i;
        const VF gv = V_LOAD(0, g + at) * clip, wv = V_LOAD(0, w + at);
        const VF mv = p.beta1 * V_LOAD(0, m + at) + (1.0f - p.beta1) * gv;
        const VF vv = p.beta2 * V_LOAD(0, v + at) + (1.0f - p.beta2) * (gv * gv);
        V_STORE(mv, 0, m + at);
        V_STORE(vv, 0, v + at);
        V_STORE(wv - lr * (mv * c1 / (sqrt(vv * c2) + p.eps) + p.decay * wv), 0, w + at);
    }
    for (uint at = start + full + lid; at < start + n; at += WG) {
        const float gv = g[at] * clip, wv = w[at];
        const float mv = p.beta1 * m[at] + (1.0f - p.beta1) * gv;
        const float vv = p.beta2 * v[at] + (1.0f - p.beta2) * (gv * gv);
        m[at] = mv;
        v[at] = vv;
        w[at] = wv - lr * (mv * c1 / (sqrt(vv * c2) + p.eps) + p.decay * wv);
    }
}
