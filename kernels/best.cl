// SPDX-License-Identifier: Apache-2.0
// best: best[first + row] = where the row's largest element is, the lowest place on ties; 0 in a row without a number.
//   x [rows, cols] f32 · best [first + rows] i32, the rest of it untouched
// Launch: one work-group does one row. Integers: equal everywhere for equal x.
#include "common.cl.h"

#define NONE 0xffffffffu

KERNEL void best(__global const float *restrict x, __global int *restrict out, const struct sy_best_args p)
{
    GROUP_GUARD(p.rows);
    const uint lid = LOCAL_ID, row = GROUP_ID, vectors = p.cols / VEC * VEC;
    __global const float *own = x + row * p.cols;
    LOCAL_SCRATCH(scratch);
#if WG > 1
    __local uint places[WG];
#endif
    VF tops = (VF)(-INFINITY);
    for (uint i = lid * VEC; i < vectors; i += WG * VEC) {
        const VF v = V_LOAD(0, own + i);
        tops = select(tops, v, v > tops);
    }
    float peak = VMAX(tops);
    for (uint i = vectors + lid; i < p.cols; i += WG)
        peak = own[i] > peak ? own[i] : peak;
    GROUP_MAX(scratch, peak, top);
    uint place = NONE;
    for (uint i = lid * VEC; i < vectors && place == NONE; i += WG * VEC)
        if (any(V_LOAD(0, own + i) == (VF)(top)))
            for (place = i; own[place] != top;)
                ++place;
    for (uint i = vectors + lid; i < p.cols && place == NONE; i += WG)
        place = own[i] == top ? i : NONE;
#if WG > 1
    places[lid] = place;
    BARRIER();
    for (uint half_ = WG / 2u; half_ > 0u; half_ /= 2u) {
        if (lid < half_)
            places[lid] = min(places[lid], places[lid + half_]);
        BARRIER();
    }
    place = places[0];
#endif
    if (lid == 0u)
        out[p.first + row] = place != NONE ? (int)place : 0;
}
