// SPDX-License-Identifier: Apache-2.0
// adafactor.cl.h: column factors of a strip, for af_usq and af_apply; include after common.cl.h.
//
// A root and a division per element would bind a CPU, not its memory: there a work-group keeps the factors of a strip
// of columns and uses them for all its rows. Elsewhere a strip is one vector per item.
#ifndef SY_ADAFACTOR_CL_H
#define SY_ADAFACTOR_CL_H
#include "chunk.h"

#if WG == 1
#define AF_VECS (SY_COLS(WG) / VEC) // vectors of one item in a strip
#else
#define AF_VECS 1
#endif
#define AF_STRIP (AF_VECS * WG * VEC) // columns

// for each of an item's `vecs` vectors of a strip. Where a strip has but one, no loop indexes the factors: they would go
// to memory.
#if WG == 1
#define AF_EACH(v, vecs) for (uint v = 0u; v < (vecs); ++v)
#else
#define AF_EACH(v, vecs)                \
    for (uint v = 0u; v < AF_VECS; ++v) \
        if (v < (vecs))
#endif

// factor[v] = 1/sqrt(col[base + (v·WG + lid)·VEC …]); returns how many vectors of this item lie below `full`.
static inline uint af_factors(__global const float *col, uint base, uint full, uint lid, VF factor[AF_VECS])
{
    const uint start = base + lid * VEC;
    const uint vecs = start < full ? min((uint)AF_VECS, SY_PIECES(full - start, (uint)(WG * VEC))) : 0u;
    AF_EACH (v, vecs)
        factor[v] = 1.0f / sqrt(V_LOAD(0, col + start + v * WG * VEC));
    return vecs;
}
#endif
