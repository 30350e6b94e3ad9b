// SPDX-License-Identifier: Apache-2.0
// adamw: Adam with decoupled weight decay; g' = gs[0]·g.
//   m = beta1·m + (1 − beta1)·g', v = beta2·v + (1 − beta2)·g'²
//   w -= lr·(m·adam_c1 / (sqrt(v·adam_c2) + eps) + decay·w), the bias corrections adam_c1 and adam_c2 from c
//   g [n] f, gs [2] f, c → w, m, v [n] f (read and written)
// Launch: one work-group does SY_CHUNK(WG) elements. No reduction.
#version 450
#define VEC 4
#include "common.glsl"
#include "chunk.h"

IN4(0, float, g);
IN(1, float, gs);
STEP(2);
INOUT4(3, float, w);
INOUT4(4, float, m);
INOUT4(5, float, v);
ARGS(sy_adamw_args);

void main()
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
#include "adamw.h"
}
