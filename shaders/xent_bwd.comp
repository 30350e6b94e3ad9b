#version 450
// SPDX-License-Identifier: Apache-2.0
// xent_bwd: dlogits = inv_labels · (p·(1 + 2·z_coef·lse) − (1−s)·[i = label] − s/vocab), p = exp(logit − lse),
// s = smoothing, inv_labels from the step constants; zeros where label < 0.
//   logits [rows, vocab] f32 · labels [all rows] i32 · rows [all rows, 4] f32 (from xent; [0] = lse) · c
//   dlogits [rows, vocab] t; which of all rows these are: SY_XENT_PLACE
// Launch: one work-group does one row. No reduction.
#include "common.glsl"

IN(0, float, logits);
IN(1, int, labels);
IN(2, float, rows);
STEP(3);
OUT(4, T, dlogits);
ARGS(sy_xent_args);

void main()
{
    GROUP_GUARD(p.rows);
    const uint lid = LOCAL_ID, row = GROUP_ID, base = row * p.vocab, place = SY_XENT_PLACE(p, row);
    const int label = labels[place];
    const float lse = rows[4u * place], scale = label >= 0 ? c.inv_labels : 0.0;
    const float slope = scale * (1.0 + 2.0 * p.z_coef * lse);
    const float hit = scale * (1.0 - p.smoothing), even = scale * (p.smoothing / float(p.vocab));
    for (uint i = lid; i < p.vocab; i += WG) {
        const float off = int(i) == label ? even + hit : even;
        T_ST(dlogits, base + i, label >= 0 ? slope * exp(logits[base + i] - lse) - off : 0.0);
    }
}
