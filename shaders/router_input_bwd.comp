#version 450
// SPDX-License-Identifier: Apache-2.0
// router_input_bwd: dx = du · factor, where the factor of router_input is made again: 1 (mode 0), jitter (mode 1),
// jit (mode 2), dropout (mode 3). Rounding u to bf16 counts as the identity.
//   du [rows, dim] f32 · jit [rows, dim] f32 (mode 2 only) · c · dx [rows, dim] t
// Launch: one work-group does SY_ROWS(WG) rows. One product an element: bit-equal everywhere.
#include "common.glsl"

IN(0, float, du);
IN(1, float, jit);
STEP(2);
OUT(3, T, dx);
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
            for (uint j = 0u; j < left; ++j)
                T_ST(dx, at + j, du[at + j] * factor[j]);
        }
    }
}
