// SPDX-License-Identifier: Apache-2.0
// xent_bwd: dlogits = inv_labels · (p·(1 + 2·z_coef·lse) − (1−s)·[i = label] − s/vocab), p = exp(logit − lse),
// s = smoothing, inv_labels from the step constants; zeros where label < 0.
//   logits [rows, vocab] f32 · labels [all rows] i32 · rows [all rows, 4] f32 (from xent; [0] = lse) · c
//   dlogits [rows, vocab] t; which of all rows these are: SY_XENT_PLACE
// Launch: one work-group does one row. No reduction.
#include "common.cl.h"
#include "exp.cl.h"

#define VI SY_CAT(int, VEC)

__constant int lane_index[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

KERNEL void xent_bwd(__global const float *restrict logits, __global const int *restrict labels,
                     __global const float *restrict rows, __constant struct sy_step *c, __global T *restrict dlogits,
                     const struct sy_xent_args p)
{
    GROUP_GUARD(p.rows);
    const uint lid = LOCAL_ID, row = GROUP_ID, base = row * p.vocab, vectors = p.vocab / VEC * VEC;
    const uint place = SY_XENT_PLACE(p, row);
    const int label = labels[place];
    const float lse = rows[4u * place], scale = label >= 0 ? c->inv_labels : 0.0f;
    const float slope = scale * (1.0f + 2.0f * p.z_coef * lse);
    const float hit = scale * (1.0f - p.smoothing), even = scale * (p.smoothing / (float)p.vocab);
    const VI lanes = V_LOAD(0, lane_index);
    for (uint i = lid * VEC; i < vectors; i += WG * VEC) {
        VF g = (VF)(0.0f);
        if (label >= 0) {
            const VF off = select((VF)(even), (VF)(even + hit), (VI)((int)i) + lanes == (VI)(label));
            g = slope * E_TO_THE(V_LOAD(0, logits + base + i) - lse) - off;
        }
        T_STV(dlogits, base + i, g);
    }
    SCALARS for (uint i = vectors + lid; i < p.vocab; i += WG) {
        const float off = (int)i == label ? even + hit : even;
        T_ST(dlogits, base + i, label >= 0 ? slope * E_TO_THE(logits[base + i] - lse) - off : 0.0f);
    }
}
