// SPDX-License-Identifier: Apache-2.0
// clip: norm = sqrt(sum of sums); gs = (max_norm / norm if norm > max_norm > 0 else 1, norm).
//   sums [n] f → gs [2] f
// Launch: one work-group. The sum is the tree ((0+1)+(2+3))+… over all n, which depends on n alone: each of SY_TREE_SLOTS
// slots adds up a run of a power of two by itself, with one partial sum for each level of its tree.
#version 450
#include "common.glsl"
#include "matrices.h"

IN(0, float, sums);
OUT(1, float, gs);
ARGS(sy_clip_args);
shared float slots[SY_TREE_SLOTS];

void main()
{
    GROUP_GUARD(1u);
#include "clip.h"
}
