// SPDX-License-Identifier: Apache-2.0
// af_apply_v: Adafactor's step with the full second moment: w -= scale·g'/sqrt(v); g' = gs[0]·g.
//   An exact 0 in g leaves w as it is.
//   g, v [P,rows,cols] f, scale [P] f, gs [2] f → w [P,rows,cols] f (read and written)
// Launch: one work-group does SY_CHUNK(WG) elements of one matrix. No reduction.
#version 450
#include "common.glsl"
#include "chunk.h"

IN(0, float, g);
IN(1, float, v);
IN(2, float, scale);
IN(3, float, gs);
INOUT(4, float, w);
ARGS(sy_adafactor_args);

void main()
{
    const uint size = p.rows * p.cols, pieces = SY_PIECES(size, SY_CHUNK(WG));
    GROUP_GUARD(p.parts * pieces);
    const uint lid = LOCAL_ID, matrix = GROUP_ID / pieces, first = GROUP_ID % pieces * SY_CHUNK(WG);
    const uint start = matrix * size + first, n = min(SY_CHUNK(WG), size - first);
    const float clip = gs[0], step = scale[matrix];
    for (uint i = start + lid; i < start + n; i += WG)
        w[i] -= step * (g[i] * clip / sqrt(v[i]));
}
