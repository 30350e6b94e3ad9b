// SPDX-License-Identifier: Apache-2.0
// af_apply_v: Adafactor's step with the full second moment, for the matrices of a pack that are too small to factor:
//   w -= scale·g'/sqrt(v); g' = gs[0]·g. An exact 0 in g leaves w as it is.
//   table i, g [elements] f, v [full] f, scale [matrices] f, gs [2] f → w [elements] f (read and written)
// Launch: one work-group does one block (matrices.h). No reduction.
#include "common.cl.h"
#include "matrices.cl.h"

KERNEL void af_apply_v(__global const int *restrict table, __global const float *restrict g,
                       __global const float *restrict v, __global const float *restrict scale,
                       __global const float *restrict gs, __global float *restrict w, const struct sy_matrices_args p)
{
    GROUP_GUARD(p.count);
    const uint lid = LOCAL_ID;
    const struct block b = block_of(table, p, p.first + GROUP_ID);
#include "af_apply_v.h"
}
