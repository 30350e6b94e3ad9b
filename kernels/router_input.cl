// SPDX-License-Identifier: Apache-2.0
// router_input: u = f32(x) · factor. The factor: 1 (mode 0), U(1−eps, 1+eps) of element (row0 + row, col) (mode 1),
// jit (mode 2), dropout's 0 or scale (mode 3).
// round_bf16: u is rounded to bf16 values. The experts see x, not u (spec §4.1).
//   x [rows, dim] t · jit [rows, dim] f32 (mode 2 only) · c · u [rows, dim] f32
// Launch: one work-group does SY_ROWS(WG) rows. One product an element: bit-equal everywhere.
#include "common.cl.h"
#include "router_input.cl.h"

KERNEL void router_input(__global const T *restrict x, __global const float *restrict jit, __constant struct sy_step *c,
                         __global float *restrict u, const struct sy_router_input_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
    const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
    const bool narrow = p.round_bf16 != 0u;
    for (uint row = first; row < first + count; ++row) {
        const struct drop_row d =
            drop_row(c, p.mode == 3u ? p.threshold : 0u, p.scale, p.stream, p.stack, row, 0u);
        for (uint col = lid * DROP_COLS; col < p.dim; col += WG * DROP_COLS) {
            const uint at = row * p.dim + col, left = p.dim - col;
            VF factor[DROP_VECS];
            input_factors(p, &d, jit, at, col, left, factor);
            if (left >= DROP_COLS) {
                for (uint v = 0u; v < DROP_VECS; ++v) {
                    const VF r = T_LDV(x, at + v * VEC) * factor[v];
                    V_STORE(narrow ? bf16_load_v(bf16_round_v(r)) : r, v, u + at);
                }
            } else {
                float f[DROP_COLS];
                drop_scalars(factor, f);
                DROP_TAIL (j, left) {
                    const float r = T_LD(x, at + j) * f[j];
                    u[at + j] = narrow ? bf16_load(bf16_round(r)) : r;
                }
            }
        }
    }
}
