#version 450
// SPDX-License-Identifier: Apache-2.0
// kv_fork: cache[b][i][j] = cache[parent[b]][i][j] where parent[b] ≠ b, i < position (from the step constants), j < width.
//   parent [batch] i, a row that is its own parent or is not named · c · cache [batch, t_max, width] t, the rest of it
//   untouched
// Launch: one work-group copies SY_FORK_ROWS positions of one sequence. Nobody reads a
// row that is written, so the order is free. Bit-equal everywhere.
#include "common.glsl"
#include "chunk.h"

IN(0, int, parent);
STEP(1);
INOUT(2, T, cache);
ARGS(sy_kv_fork_args);

void main()
{
    const uint across = SY_PIECES(p.t_max, SY_FORK_ROWS);
    GROUP_GUARD(p.batch * across);
    const uint lid = LOCAL_ID, b = GROUP_ID / across, first = GROUP_ID % across * SY_FORK_ROWS;
    const uint source = uint(parent[b]), end = min(min(c.position, p.t_max), first + SY_FORK_ROWS);
    const uint count = source != b && first < end ? (end - first) * p.width : 0u;
    const uint from = (source * p.t_max + first) * p.width, to = (b * p.t_max + first) * p.width;
    for (uint i = lid; i < count; i += WG)
        cache[to + i] = cache[from + i];
}
