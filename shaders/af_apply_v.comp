// SPDX-License-Identifier: Apache-2.0
// af_apply_v: Adafactor's step with the full second moment, for the matrices of a pack that are too small to factor:
//   w -= scale·g'/sqrt(v); g' = gs[0]·g. An exact 0 in g leaves w as it is.
//   table i, g [elements] f, v [full] f, scale [matrices] f, gs [2] f → w [elements] f (read and written)
// Launch: one work-group does one block (matrices.h). No reduction.
#version 450
#include "common.glsl"
#include "matrices.glsl"

IN(1, float, g);
IN(2, float, v);
IN(3, float, scale);
IN(4, float, gs);
INOUT(5, float, w);
ARGS(sy_matrices_args);

void main()
{
    GROUP_GUARD(p.count);
    const uint lid = LOCAL_ID;
    const block b = block_of(p.entries, p.base, p.part_base, p.first + GROUP_ID);
#include "af_apply_v.h"
}
