// SPDX-License-Identifier: Apache-2.0
// attention_blocks: the variant `blocks` of attention for CPUs: products in f32. All else is in attention_lanes.cl.h.
#include "attention_lanes.cl.h"

KERNEL void attention_blocks(__global const T *restrict q, __global const T *restrict kv, __global const float *restrict rel,
                             __global const int *restrict mask, __constant struct sy_step *c, __global T *restrict o,
                             __global float *restrict lse, const struct sy_attention_args p)
{
    att_kernel(q, kv, rel, mask, c, o, lse, p);
}
