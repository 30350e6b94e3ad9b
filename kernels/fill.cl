// SPDX-License-Identifier: Apache-2.0
// fill: y[i] = value.
//   y [n] f32
// Launch: one work-group fills SY_CHUNK(WG) elements. No reduction: bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void fill(__global float *restrict y, const struct sy_fill_args p)
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
#include "fill.h"
}
