// SPDX-License-Identifier: Apache-2.0
// sumsq: part[i] = sum of x² over block i of `parts` equal blocks of ceil(n/parts).
//   x [n] f → part [parts] f
// Launch: one work-group sums one block, SY_CHUNK(WG) elements at a time. The order depends on the args, WG, VEC only.
#include "common.cl.h"
#include "chunk.h"

KERNEL void sumsq(__global const float *restrict x, __global float *restrict part, const struct sy_sumsq_args p)
{
    GROUP_GUARD(p.parts);
    LOCAL_SCRATCH(scratch);
    const uint lid = LOCAL_ID, block = GROUP_ID, size = max(SY_PIECES(p.n, p.parts), 1u);
    const uint begin = block <= p.n / size ? block * size : p.n; // the last blocks may be empty
    const uint count = min(size, p.n - begin), chunks = SY_PIECES(count, SY_CHUNK(WG));
    float sum = 0.0f;
    for (uint chunk = 0u; chunk < chunks; ++chunk) { // short sums, added up: better rounding than one long sum
        __global const float *xc = x + begin + chunk * SY_CHUNK(WG);
        const uint n = min(SY_CHUNK(WG), count - chunk * SY_CHUNK(WG)), full = n - n % VEC;
        VF squares = (VF)(0.0f);
        float rest = 0.0f;
        for (uint i = lid * VEC; i < full; i += WG * VEC) {
            const VF v = V_LOAD(0, xc + i);
            squares += v * v;
        }
        for (uint i = full + lid; i < n; i += WG)
            rest += xc[i] * xc[i];
        sum += VSUM(squares) + rest;
    }
    GROUP_SUM(scratch, sum, total);
    if (lid == 0u)
        part[block] = total;
}
