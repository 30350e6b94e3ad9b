// SPDX-License-Identifier: Apache-2.0
// top: value[first + row][r], place[first + row][r] = log-probability and place of the row's r-th largest element, r < k,
// the lowest place first on ties; −infinity and −1 where the row has no more numbers.
//   x [rows, cols] f32 · value, place [first + rows, k], the rest of them untouched
// Launch: one work-group does one row. Places are equal everywhere for equal x; the order of the sum of exp depends on
// cols, WG and VEC.
#include "common.cl.h"
#include "exp.cl.h"

#define NONE 0xffffffffu

// Does (va, a) come before (vb, b)? NONE comes after everything.
static inline bool before(float va, uint a, float vb, uint b) { return va > vb || (va == vb && a < b); }

#if WG == 1
// One pass: an element that beats the last of the list finds its place in it, behind its equals.
static void put(float *tops, uint *places, uint k, float v, uint place)
{
    uint to = k - 1u;
    for (; to > 0u && tops[to - 1u] < v; --to) {
        tops[to] = tops[to - 1u];
        places[to] = places[to - 1u];
    }
    tops[to] = v;
    places[to] = place;
}

static void find(__global const float *own, uint cols, uint k, float *tops, uint *places)
{
    const uint vectors = cols / VEC * VEC;
    for (uint r = 0u; r < k; ++r) {
        tops[r] = -INFINITY;
        places[r] = NONE;
    }
    for (uint i = 0u; i < vectors; i += VEC)
        if (any(V_LOAD(0, own + i) > (VF)(tops[k - 1u])))
            for (uint j = i; j < i + VEC; ++j)
                if (own[j] > tops[k - 1u])
                    put(tops, places, k, own[j], j);
    for (uint i = vectors; i < cols; ++i)
        if (own[i] > tops[k - 1u])
            put(tops, places, k, own[i], i);
    uint count = 0u; // then what is minus infinity itself
    while (count < k && places[count] != NONE)
        ++count;
    for (uint i = 0u; i < cols && count < k; ++i)
        if (own[i] == -INFINITY)
            places[count++] = i;
}
#endif

KERNEL void top(__global const float *restrict x, __global float *restrict value, __global int *restrict place,
                const struct sy_top_args p)
{
    GROUP_GUARD(p.rows);
    const uint lid = LOCAL_ID, row = GROUP_ID, vectors = p.cols / VEC * VEC, out = (p.first + row) * p.k;
    __global const float *own = x + row * p.cols;
    LOCAL_SCRATCH(scratch);
#if WG == 1
    float tops[SY_TOP_MOST];
    uint places[SY_TOP_MOST];
    find(own, p.cols, p.k, tops, places);
    const float most = tops[0];
#else
    // Each item knows the best of its own elements that come after what was found; who owned that looks again.
    __local float tops[WG];
    __local uint places[WG];
    __local float found[SY_TOP_MOST];
    float last = INFINITY, best = -INFINITY;
    uint last_place = 0u, best_place = NONE;
    bool look = true;
    for (uint r = 0u; r < p.k; ++r) {
        if (look)
            for (uint i = lid; i < p.cols; i += WG)
                if ((r == 0u || before(last, last_place, own[i], i)) && before(own[i], i, best, best_place)) {
                    best = own[i];
                    best_place = i;
                }
        tops[lid] = best;
        places[lid] = best_place;
        BARRIER();
        for (uint half_ = WG / 2u; half_ > 0u; half_ /= 2u) {
            if (lid < half_ && before(tops[lid + half_], places[lid + half_], tops[lid], places[lid])) {
                tops[lid] = tops[lid + half_];
                places[lid] = places[lid + half_];
            }
            BARRIER();
        }
        last = tops[0];
        last_place = places[0];
        BARRIER();
        look = best_place == last_place && best_place != NONE;
        if (look) {
            best = -INFINITY;
            best_place = NONE;
        }
        if (lid == 0u) {
            found[r] = last;
            place[out + r] = last_place != NONE ? (int)last_place : -1;
        }
    }
    BARRIER();
    const float most = found[0];
#endif
    VF exps = (VF)(0.0f);
    for (uint i = lid * VEC; i < vectors; i += WG * VEC)
        exps += E_TO_THE(V_LOAD(0, own + i) - (VF)(most));
    float sum = VSUM(exps);
    for (uint i = vectors + lid; i < p.cols; i += WG)
        sum += E_TO_THE(own[i] - most);
    GROUP_SUM(scratch, sum, all);
#if WG == 1
    for (uint r = 0u; r < p.k; ++r) {
        value[out + r] = places[r] != NONE ? tops[r] - most - log(all) : -INFINITY;
        place[out + r] = places[r] != NONE ? (int)places[r] : -1;
    }
#else
    for (uint r = lid; r < p.k; r += WG)
        value[out + r] = found[r] != -INFINITY ? found[r] - most - log(all) : -INFINITY;
#endif
}
