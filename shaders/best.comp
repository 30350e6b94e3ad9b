#version 450
// SPDX-License-Identifier: Apache-2.0
// best: best[first + row] = where the row's largest element is, the lowest place on ties; 0 in a row without a number.
//   x [rows, cols] f32 · best [first + rows] i32, the rest of it untouched
// Launch: one work-group does one row. Integers: equal everywhere for equal x.
#include "common.glsl"

IN(0, float, x);
OUT(1, int, best);
ARGS(sy_best_args);
shared float tops[WG];
shared uint places[WG];

const uint NONE = 0xffffffffu;

// Does (va, a) come before (vb, b)? NONE comes after everything.
bool before(float va, uint a, float vb, uint b) { return va > vb || (va == vb && a < b); }

void main()
{
    GROUP_GUARD(p.rows);
    const uint lid = LOCAL_ID, row = GROUP_ID, base = row * p.cols;
    float top = uintBitsToFloat(0xff800000u); // minus infinity
    uint place = NONE;
    for (uint i = lid; i < p.cols; i += WG) {
        const float v = x[base + i];
        if (before(v, i, top, place)) {
            top = v;
            place = i;
        }
    }
    tops[lid] = top;
    places[lid] = place;
    barrier();
    for (uint half_ = WG / 2u; half_ > 0u; half_ /= 2u) {
        if (lid < half_ && before(tops[lid + half_], places[lid + half_], tops[lid], places[lid])) {
            tops[lid] = tops[lid + half_];
            places[lid] = places[lid + half_];
        }
        barrier();
    }
    if (lid == 0u)
        best[p.first + row] = places[0] != NONE ? int(places[0]) : 0;
}
