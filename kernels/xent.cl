// SPDX-License-Identifier: Apache-2.0
// xent: rows[r] = (lse, ce, correct, z): lse = log Σ exp(logits[r]), ce = lse − (1−s)·logit[label] − s·mean(logits),
// s = smoothing, correct = 1 when the label is the (lowest) arg-max, z = z_coef·lse²; all but lse 0 where label < 0.
//   logits [rows, vocab] f32 · labels [all rows] i32 · rows [all rows, 4] f32; which of all: SY_XENT_PLACE
// Launch: one work-group does one row in one pass: each lane keeps its running maximum and sum of exp.
// Determinism: the order of the sums depends on vocab, WG and VEC.
#include "common.cl.h"
#include "exp.cl.h"

#define RUN 16 // vectors of an item between two corrections of its sum by a new maximum

#define VI SY_CAT(int, VEC)

__constant int lane_index[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// An element that keeps the label from being the arg-max: larger, or equal and earlier.
static inline VI beats_v(VF v, int i, float at_label, int label)
{
    return (v > (VF)(at_label)) | ((v == (VF)(at_label)) & ((VI)(i) + V_LOAD(0, lane_index) < (VI)(label)));
}

KERNEL void xent(__global const float *restrict logits, __global const int *restrict labels,
                 __global float *restrict rows, const struct sy_xent_args p)
{
    GROUP_GUARD(p.rows);
    const uint lid = LOCAL_ID, row = GROUP_ID, vectors = p.vocab / VEC * VEC, place = SY_XENT_PLACE(p, row);
    __global const float *x = logits + row * p.vocab;
    const int label = labels[place], target = clamp(label, 0, (int)p.vocab - 1);
    const float at_label = x[target];
    LOCAL_SCRATCH(scratch);

    VF most = (VF)(-FLT_MAX), exps = (VF)(0.0f), sums = (VF)(0.0f);
    VI beats = (VI)(0);
    for (uint start = 0u; start < vectors; start += WG * VEC * RUN) {
        const uint end = min(vectors, start + WG * VEC * RUN);
        VF top = most;
        for (uint i = start + lid * VEC; i < end; i += WG * VEC) {
            const VF v = V_LOAD(0, x + i);
            top = select(top, v, v > top);
            sums += v;
            beats |= beats_v(v, (int)i, at_label, target);
        }
        exps *= E_TO_THE(most - top);
        most = top;
        for (uint i = start + lid * VEC; i < end; i += WG * VEC)
            exps += E_TO_THE(V_LOAD(0, x + i) - most);
    }
    float own_most = VMAX(most), own_sum = VSUM(sums), own_beat = any(beats) ? 1.0f : 0.0f;
    SCALARS for (uint i = vectors + lid; i < p.vocab; i += WG) {
        own_most = fmax(own_most, x[i]);
        own_sum += x[i];
        own_beat = x[i] > at_label || (x[i] == at_label && (int)i < target) ? 1.0f : own_beat;
    }
    GROUP_MAX(scratch, own_most, row_most);
    float own_exp = VSUM(exps * E_TO_THE(most - row_most));
    SCALARS for (uint i = vectors + lid; i < p.vocab; i += WG)
        own_exp += E_TO_THE(x[i] - row_most);
    GROUP_SUM(scratch, own_exp, row_exp);
    GROUP_SUM(scratch, own_sum, row_sum);
    GROUP_MAX(scratch, own_beat, row_beat);
    if (lid == 0u) {
        const float lse = row_most + log(row_exp), s = p.smoothing;
        const float ce = lse - (1.0f - s) * at_label - s * (row_sum / (float)p.vocab);
        const bool counts = label >= 0;
        vstore4((float4)(lse, counts ? ce : 0.0f, counts && row_beat == 0.0f ? 1.0f : 0.0f,
                         counts ? p.z_coef * lse * lse : 0.0f), place, rows);
    }
}
