// SPDX-License-Identifier: Apache-2.0
// clip: norm = sqrt(sum of part); gs = (max_norm / norm if norm > max_norm > 0 else 1, norm).
//   part [n] f → gs [2] f
// Launch: one work-group. The order of the sum depends on n and WG only.
#include "common.cl.h"
#include "chunk.h"

KERNEL void clip(__global const float *restrict part, __global float *restrict gs, const struct sy_clip_args p)
{
    GROUP_GUARD(1u);
    LOCAL_SCRATCH(scratch);
    const uint lid = LOCAL_ID, chunks = SY_PIECES(p.n, SY_CHUNK(WG));
    float sum = 0.0f;
    for (uint chunk = 0u; chunk < chunks; ++chunk) {
        const uint start = chunk * SY_CHUNK(WG), n = min(SY_CHUNK(WG), p.n - start);
        float some = 0.0f;
        for (uint i = lid; i < n; i += WG)
            some += part[start + i];
        sum += some;
    }
    GROUP_SUM(scratch, sum, total);
    if (lid == 0u) {
        const float norm = sqrt(total);
        gs[0] = p.max_norm > 0.0f && norm > p.max_norm ? p.max_norm / norm : 1.0f;
        gs[1] = norm;
    }
}
