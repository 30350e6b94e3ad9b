// SPDX-License-Identifier: Apache-2.0
// add: y[i] = a[i] + b[i].
//   a, b, y [n] t
// Launch: one work-group adds SY_CHUNK(WG) elements. No reduction: bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void add(__global const T *restrict a, __global const T *restrict b, __global T *restrict y,
                const struct sy_add_args p)
{
    GROUP_GUARD(SY_PIECES(p.n, SY_CHUNK(WG)));
#include "add.h"
}
