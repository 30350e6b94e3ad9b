// SPDX-License-Identifier: Apache-2.0
// adafactor.cl.h: strips of columns, for af_sums, af_usq and af_apply; include after common.cl.h.
//
// A root and a division per element would bind a CPU, not its memory: there a work-group keeps the factors of a strip
// of columns and uses them for all its rows (af_sums: their sums). Elsewhere a strip is one vector per lane.
#ifndef SY_ADAFACTOR_CL_H
#define SY_ADAFACTOR_CL_H
#include "matrices.cl.h"

#if WG == 1
#define AF_VECS (SY_COLS(WG) / VEC) // vectors of one lane in a strip
#else
#define AF_VECS 1
#endif
#define AF_STRIP (AF_VECS * LANES * VEC) // columns

// for each of a lane's `vecs` vectors of a strip. Where a strip has but one, no loop indexes the factors: they would go
// to memory.
#if WG == 1
#define AF_EACH(v, vecs) for (uint v = 0u; v < (vecs); ++v)
#else
#define AF_EACH(v, vecs)                \
    for (uint v = 0u; v < AF_VECS; ++v) \
        if (v < (vecs))
#endif

// How many vectors of this lane lie between `base` and `full`: at most a strip's.
static inline uint af_vecs(uint base, uint full, uint lane)
{
    const uint start = base + lane * VEC;
    return start < full ? min((uint)AF_VECS, SY_PIECES(full - start, (uint)(LANES * VEC))) : 0u;
}

// factor[v] = 1/sqrt(col[base + (v·LANES + lane)·VEC …]); returns af_vecs().
static inline uint af_factors(__global const float *col, uint base, uint full, uint lane, VF factor[AF_VECS])
{
    const uint vecs = af_vecs(base, full, lane);
    AF_EACH (v, vecs)
        factor[v] = 1.0f / sqrt(V_LOAD(0, col + base + (v * LANES + lane) * VEC));
    return vecs;
}
#endif
