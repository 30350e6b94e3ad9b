// SPDX-License-Identifier: Apache-2.0
// attention_dkv_blocks: the variant `blocks` of attention_dkv for CPUs: products in f32. All else is in attention_dkv_lanes.cl.h.
#include "attention_dkv_lanes.cl.h"

KERNEL void attention_dkv_blocks(__global const T *restrict q, __global const T *restrict kv,
                                 __global const float *restrict rel, __global const int *restrict mask,
                                 __global const float *restrict ld, __global const T *restrict dout,
                                 __constant struct sy_step *c, __global T *restrict dkv, const struct sy_attention_args p)
{
    att_kernel(q, kv, rel, mask, ld, dout, c, dkv, p);
}
