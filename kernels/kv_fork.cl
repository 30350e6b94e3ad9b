// SPDX-License-Identifier: Apache-2.0
// kv_fork: cache[b][i][j] = cache[parent[b]][i][j] where parent[b] ≠ b, i < position (from the step constants), j < width.
//   parent [batch] i, a row that is its own parent or is not named · c · cache [batch, t_max, width] t, the rest of it
//   untouched
// Launch: one work-group copies SY_FORK_ROWS positions of one sequence. Nobody reads a row that is written, so the order is
// free. Bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void kv_fork(__global const int *restrict parent, __constant struct sy_step *c, __global T *cache,
                    const struct sy_kv_fork_args p)
{
    const uint across = SY_PIECES(p.t_max, SY_FORK_ROWS);
    GROUP_GUARD(p.batch * across);
    const uint lid = LOCAL_ID, b = GROUP_ID / across, first = GROUP_ID % across * SY_FORK_ROWS;
    const uint source = (uint)parent[b], end = min(min(c->position, p.t_max), first + SY_FORK_ROWS);
    const uint count = source != b && first < end ? (end - first) * p.width : 0u, vectors = count / VEC * VEC;
    __global const T *from = cache + (source * p.t_max + first) * p.width;
    __global T *to = cache + (b * p.t_max + first) * p.width;
    for (uint i = lid * VEC; i < vectors; i += WG * VEC)
        T_COPYV(to + i, from + i);
    for (uint i = vectors + lid; i < count; i += WG)
        to[i] = from[i];
}
