// SPDX-License-Identifier: Apache-2.0
// route_gate: gate[row, r] = p[row, expert] (kind 0), or that over the sum of the row's k chosen p (kind 1: top2's
// p1/(p1+p2), p2/(p1+p2)); 0 where expert < 0. A choice that will be dropped has a gate too.
//   p [rows, experts] f32 · expert [rows, k] i32 · gate [rows, k] f32
// Launch: one work-group does SY_CHUNK(WG) gates. Equal everywhere up to the rounding of one division.
#include "common.cl.h"
#include "chunk.h"

KERNEL void route_gate(__global const float *restrict prob, __global const int *restrict expert,
                       __global float *restrict gate, const struct sy_route_gate_args p)
{
    const uint gates = p.rows * p.k;
    GROUP_GUARD(SY_PIECES(gates, SY_CHUNK(WG)));
#include "route_gate.h"
}
