#version 450
// SPDX-License-Identifier: Apache-2.0
// xent: rows[r] = (lse, ce, correct, z): lse = log Σ exp(logits[r]), ce = lse − (1−s)·logit[label] − s·mean(logits),
// s = smoothing, correct = 1 when the label is the (lowest) arg-max, z = z_coef·lse²; all but lse 0 where label < 0.
//   logits [rows, vocab] f32 · labels [all rows] i32 · rows [all rows, 4] f32; which of all: SY_XENT_PLACE
// Launch: one work-group does one row in one pass: each lane keeps its running maximum and sum of exp.
// Determinism: the order of the sums depends on vocab and WG.
#include "common.glsl"

IN(0, float, logits);
IN(1, int, labels);
OUT(2, float, rows);
ARGS(sy_xent_args);
LOCAL_SCRATCH;

#define LOWEST -3.4028234663852886e38
#define RUN 16u // elements of an invocation between two corrections of its sum by a new maximum

void main()
{
    GROUP_GUARD(p.rows);
    const uint lid = LOCAL_ID, row = GROUP_ID, base = row * p.vocab, place = SY_XENT_PLACE(p, row);
    const int label = labels[place];
    const uint target = uint(clamp(label, 0, int(p.vocab) - 1));
    const float at_label = logits[base + target];

    float most = LOWEST, exps = 0.0, sum = 0.0, beat = 0.0;
    for (uint start = 0u; start < p.vocab; start += WG * RUN) {
        const uint end = min(p.vocab, start + WG * RUN);
        float top = most;
        for (uint i = start + lid; i < end; i += WG) {
            const float v = logits[base + i];
            top = max(top, v);
            sum += v;
            beat = v > at_label || (v == at_label && i < target) ? 1.0 : beat;
        }
        exps *= exp(most - top);
        most = top;
        for (uint i = start + lid; i < end; i += WG)
            exps += exp(logits[base + i] - most);
    }
    GROUP_MAX(most, row_most);
    const float own_exp = exps * exp(most - row_most);
    GROUP_SUM(own_exp, row_exp);
    GROUP_SUM(sum, row_sum);
    GROUP_MAX(beat, row_beat);
    if (lid == 0u) {
        const float lse = row_most + log(row_exp), s = p.smoothing;
        const float ce = lse - (1.0 - s) * at_label - s * (row_sum / float(p.vocab));
        const bool counts = label >= 0;
        const uint to = 4u * place;
        rows[to] = lse;
        rows[to + 1u] = counts ? ce : 0.0;
        rows[to + 2u] = counts && row_beat == 0.0 ? 1.0 : 0.0;
        rows[to + 3u] = counts ? p.z_coef * lse * lse : 0.0;
    }
}
