// SPDX-License-Identifier: Apache-2.0
// clip: norm = sqrt(sum of sums); gs = (max_norm / norm if norm > max_norm > 0 else 1, norm).
//   sums [n] f → gs [2] f
// Launch: one work-group. The sum is the tree ((0+1)+(2+3))+… over all n, which depends on n alone: each of SY_TREE_SLOTS
// slots adds up a run of a power of two by itself, with one partial sum for each level of its tree.
#include "common.cl.h"
#include "matrices.cl.h"

KERNEL void clip(__global const float *restrict sums, __global float *restrict gs, const struct sy_clip_args p)
{
    GROUP_GUARD(1u);
    LOCAL_ARRAY(slots, SY_TREE_SLOTS);
#include "clip.h"
}
