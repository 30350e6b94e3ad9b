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
#include "adamw.h"
}
