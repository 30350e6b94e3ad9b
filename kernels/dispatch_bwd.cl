// SPDX-License-Identifier: Apache-2.0
// dispatch_bwd: dx[row] = Σ_r dxe[slot[row, r]] over slots ≥ 0; zeros for a token without a slot.
//   dxe [slots, dim] t · slot [rows, k] i32 · dx [rows, dim] t
// Launch: one work-group does SY_ROWS(WG) rows. Sums in f32, r ascending: bit-equal everywhere.
#include "common.cl.h"
#include "chunk.h"

KERNEL void dispatch_bwd(__global const T *restrict dxe, __global const int *restrict slot, __global T *restrict dx,
                         const struct sy_dispatch_args p)
{
    GROUP_GUARD(SY_PIECES(p.rows, SY_ROWS(WG)));
#include "dispatch_bwd.h"
}
