// SPDX-License-Identifier: Apache-2.0
// router_input_bwd: dx = du · factor, where the factor of router_input is made again: 1 (mode 0), jitter (mode 1),
// jit (mode 2), dropout (mode 3). Rounding u to bf16 counts as the identity.
//   du [rows, dim] f32 · jit [rows, dim] f32 (mode 2 only) · c · dx [rows, dim] t
// Launch: one work-group does SY_ROWS(WG) rows. One product an element: bit-equal everywhere.
#include "common.cl.h"
#include "router_input.cl.h"

KERNEL void router_input_bwd(__global const float *restrict du, __global const float *restrict jit,
                             __constant struct sy_step *c, __global T *restrict dx,
                             const struct sy_router_input_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    for (uint row = first; row < first + count; ++row) {
        const struct drop_row d =
            drop_row(c, p.mode == 3u ? p.threshold : 0u, p.scale, p.stream, p.stack, row, 0u);
        for (uint col = lid * DROP_COLS; col < p.dim; col += WG * DROP_COLS) {
            const uint at = row * p.dim + col, left = p.dim - col;
            VF factor[DROP_VECS];
            input_factors(p, &d, jit, at, col, left, factor);
            if (left >= DROP_COLS) {
                for (uint v = 0u; v < DROP_VECS; ++v)
                    T_STV(dx, at + v * VEC, V_LOAD(v, du + at) * factor[v]);
            } else {
                float f[DROP_COLS];
                drop_scalars(factor, f);
                DROP_TAIL (j, left)
                    T_ST(dx, at + j, du[at + j] * f[j]);
            }
        }
    }
}
