// SPDX-License-Identifier: Apache-2.0
// route_choose: cand[row, r] = the r-th most probable expert, the lower index on ties; −1 where mask[row] = 0.
// sample (rounds 1): the first expert whose cumulative p exceeds the uniform number of element (row0 + row, 0); when
// rounding keeps the sum below it, the last expert with p > 0.
//   p [rows, experts] f32 · mask [rows] i32 · c · cand [rows, rounds] i32
// Launch: one work-group does SY_ROWS(WG) rows. Round r takes the best that comes after round r−1's in the order
// (p falling, index rising), so nothing is remembered. A p that is no number is never chosen; a row of them takes r.
// Integers: equal everywhere for equal p. The cumulative sum runs in f32, index rising, on one item: also equal.
#include "common.cl.h"
#include "chunk.h"
#include "philox.h"

#define NONE 0xffffffffu

// Does (pa, a) come before (pb, b)? NONE comes after everything.
static inline bool before(float pa, uint a, float pb, uint b) { return pa > pb || (pa == pb && a < b); }

static inline int sampled(__global const float *x, uint experts, float u)
{
    float sum = 0.0f;
    int last = 0;
    for (uint e = 0u; e < experts; ++e) {
        sum += x[e];
        if (x[e] > 0.0f)
            last = (int)e;
        if (sum > u)
            break;
    }
    return last;
}

KERNEL void route_choose(__global const float *restrict prob, __global const int *restrict mask,
                         __constant struct sy_step *c, __global int *restrict cand, const struct sy_route_choose_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    const uint rounds = p.sample != 0u ? 0u : p.rounds;
#if WG > 1
    __local float best_p[WG];
    __local uint best_e[WG];
#endif
    for (uint row = first; row < first + count; ++row) {
        __global const float *x = prob + row * p.experts;
        const bool real = mask[row] != 0;
        float last_p = 0.0f;
        uint last = NONE;
        for (uint r = 0u; r < rounds; ++r) {
            float top = -INFINITY;
            uint e_top = NONE;
            for (uint e = lid; e < p.experts; e += WG) {
                const float v = x[e];
                const bool left = r == 0u || before(last_p, last, v, e);
                if (left && (v > top || (v == top && e < e_top))) {
                    top = v;
                    e_top = e;
                }
            }
#if WG > 1
            best_p[lid] = top;
            best_e[lid] = e_top;
            BARRIER();
            for (uint half_ = WG / 2u; half_ > 0u; half_ /= 2u) {
                if (lid < half_ && before(best_p[lid + half_], best_e[lid + half_], best_p[lid], best_e[lid])) {
                    best_p[lid] = best_p[lid + half_];
                    best_e[lid] = best_e[lid + half_];
                }
                BARRIER();
            }
            top = best_p[0];
            e_top = best_e[0];
            BARRIER();
#endif
            last_p = top;
            last = e_top;
            if (lid == 0u)
                cand[row * p.rounds + r] = !real ? -1 : e_top != NONE ? (int)e_top : (int)r;
        }
        if (lid == 0u && p.sample != 0u) {
            const uint row0 = p.stack != 0u ? c->row_dec : c->row_enc;
            const uint bits = sy_random_bits(c->seed_lo, c->seed_hi, c->step, p.stream, 0u, row0 + row, 0u);
            cand[row] = real ? sampled(x, p.experts, (float)(bits >> 8) * (1.0f / 16777216.0f)) : -1;
        }
    }
}
