// SPDX-License-Identifier: Apache-2.0
// adamw: Adam with decoupled weight decay; g' = gs[0]·g.
//   m = beta1·m + (1 − beta1)·g', v = beta2·v + (1 − beta2)·g'²
//   w -= lr·(m·adam_c1 / (sqrt(v·adam_c2) + eps) + decay·w), the bias corrections adam_c1 and adam_c2 from c
//   g [n] f, gs [2] f, c → w, m, v [n] f (read and written)
// Launch: one work-group does SY_CHUNK(WG) elements. No reduction.
#version 450
#include "common.glsl"
#include "chunk.h"

IN(0, float, g);
IN(1, float, gs);
STEP(2);
INOUT(3, float, w);
INOUT(4, float, m);
INOUT(5, float, v);
ARGS(sy_adamw_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
    const uint lid = LOCAL_ID, start = GROUP_ID * SY_CHUNK(WG), n = min(SY_CHUNK(WG), p.n - start);
    const float clip = gs[0];
    for (uint at = start + lid; at < start + n; at += WG) {
        const float gv = g[at] * clip, wv = w[at];
        const float mv = p.beta1 * m[at] + (1.0 - p.beta1) * gv;
        const float vv = p.beta2 * v[at] + (1.0 - p.beta2) * (gv * gv);
        m[at] = mv;
        v[at] = vv;
        w[at] = wv - c.lr * (mv * c.adam_c1 / (sqrt(vv * c.adam_c2) + p.eps) + p.decay * wv);
    }
}
