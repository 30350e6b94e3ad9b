// SPDX-License-Identifier: Apache-2.0
// sumsq: part[i] = sum of x² over block i of `parts` equal blocks of ceil(n/parts).
//   x [n] f → part [parts] f
// Launch: one work-group sums one block, SY_CHUNK(WG) elements at a time. The order depends on the args and WG only.
#version 450
#include "common.glsl"
#include "chunk.h"

IN(0, float, x);
OUT(1, float, part);
ARGS(sy_sumsq_args);
LOCAL_SCRATCH;

void main()
{
    GROUP_GUARD(p.parts);
    const uint lid = LOCAL_ID, block = GROUP_ID, size = max(SY_PIECES(p.n, p.parts), 1u);
    const uint begin = block <= p.n / size ? block * size : p.n; // the last blocks may be empty
    const uint count = min(size, p.n - begin), chunks = SY_PIECES(count, SY_CHUNK(WG));
    float sum = 0.0;
    for (uint chunk = 0u; chunk < chunks; ++chunk) { // short sums, added up: better rounding than one long sum
        const uint start = begin + chunk * SY_CHUNK(WG), n = min(SY_CHUNK(WG), count - chunk * SY_CHUNK(WG));
        float squares = 0.0;
        for (uint i = lid; i < n; i += WG)
            squares += x[start + i] * x[start + i];
        sum += squares;
    }
    GROUP_SUM(sum, total);
    if (lid == 0u)
        part[block] = total;
}
