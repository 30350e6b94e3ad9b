#version 450
// SPDX-License-Identifier: Apache-2.0
// router_input: u = f32(x) · factor. The factor: 1 (mode 0), U(1−eps, 1+eps) of element (row0 + row, col) (mode 1),
// jit (mode 2), dropout's 0 or scale (mode 3).
// round_bf16: u is rounded to bf16 values. The experts see x, not u (spec §4.1).
//   x [rows, dim] t · jit [rows, dim] f32 (mode 2 only) · c · u [rows, dim] f32
// Launch: one work-group does SY_ROWS(WG) rows. One product an element: bit-equal everywhere.
#include "common.glsl"

IN(0, T, x);
IN(1, float, jit);
STEP(2);
OUT(3, float, u);
ARGS(sy_router_input_args);
#include "router_input.glsl"

void main()
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint r = first; r < first + count; ++r) {
        const drop_row d = make_drop_row(p.mode == 3u ? p.threshold : 0u, p.scale, p.stream, p.stack, r, 0u);
        for (uint quad = lid; quad < SY_PIECES(p.dim, 4u); quad += WG) {
            const uint at = r * p.dim + 4u * quad, left = min(4u, p.dim - 4u * quad);
            const vec4 factor = input_factors(d, at, quad, left);
            for (uint j = 0u; j < left; ++j) {
                const float v = T_LD(x, at + j) * factor[j];
                u[at + j] = p.round_bf16 != 0u ? bf16_to_float(float_to_bf16(v)) : v;
            }
        }
    }
}
