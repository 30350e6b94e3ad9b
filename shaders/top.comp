#version 450
// SPDX-License-Identifier: Apache-2.0
// top: value[first + row][r], place[first + row][r] = log-probability and place of the row's r-th largest element, r < k,
// the lowest place first on ties; −infinity and −1 where the row has no more numbers.
//   x [rows, cols] f32 · value, place [first + rows, k], the rest of them untouched
// Launch: one work-group does one row. Places are equal everywhere for equal x; the order of the sum of exp depends on
// cols and WG.
#include "common.glsl"

IN(0, float, x);
OUT(1, float, value);
OUT(2, int, place);
ARGS(sy_top_args);
LOCAL_SCRATCH;
shared float tops[WG];
shared uint places[WG];
shared float found[SY_TOP_MOST];

const uint NONE = 0xffffffffu;

// Does (va, a) come before (vb, b)? NONE comes after everything.
bool before(float va, uint a, float vb, uint b) { return va > vb || (va == vb && a < b); }

void main()
{
    GROUP_GUARD(p.rows);
    const uint lid = LOCAL_ID, row = GROUP_ID, base = row * p.cols, first = (p.first + row) * p.k;
    const float lowest = uintBitsToFloat(0xff800000u); // minus infinity
    // Each item knows the best of its own elements that come after what was found; who owned that looks again.
    float last = 0.0, best = lowest;
    uint last_place = 0u, best_place = NONE;
    bool look = true;
    for (uint r = 0u; r < p.k; ++r) {
        for (uint i = look ? lid : p.cols; i < p.cols; i += WG) {
            const float v = x[base + i];
            if ((r == 0u || before(last, last_place, v, i)) && before(v, i, best, best_place)) {
                best = v;
                best_place = i;
            }
        }
        tops[lid] = best;
        places[lid] = best_place;
        barrier();
        for (uint half_ = WG / 2u; half_ > 0u; half_ /= 2u) {
            if (lid < half_ && before(tops[lid + half_], places[lid + half_], tops[lid], places[lid])) {
                tops[lid] = tops[lid + half_];
                places[lid] = places[lid + half_];
            }
            barrier();
        }
        last = tops[0];
        last_place = places[0];
        barrier();
        look = best_place == last_place && best_place != NONE;
        if (look) {
            best = lowest;
            best_place = NONE;
        }
        if (lid == 0u) {
            found[r] = last;
            place[first + r] = last_place != NONE ? int(last_place) : -1;
        }
    }
    barrier();
    const float most = found[0];
    float exps = 0.0;
    for (uint i = lid; i < p.cols; i += WG)
        exps += exp(x[base + i] - most);
    GROUP_SUM(exps, all);
    for (uint r = lid; r < p.k; r += WG)
        value[first + r] = found[r] != lowest ? found[r] - most - log(all) : lowest;
}
