// SPDX-License-Identifier: Apache-2.0
// cast: y[i] = x[i], rounded to nearest even when y is bf16.
//   x [n] f32 · y [n] t
// Launch: one work-group converts SY_CHUNK(WG) elements. No reduction: bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void cast(__global const float *restrict x, __global T *restrict y, const struct sy_cast_args p)
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
#include "cast.h"
}
