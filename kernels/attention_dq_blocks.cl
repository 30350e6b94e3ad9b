// SPDX-License-Identifier: Apache-2.0
// attention_dq_blocks: the variant `blocks` of attention_dq for CPUs: products in f32. All else is in attention_dq_lanes.cl.h.
#include "attention_dq_lanes.cl.h"

KERNEL void attention_dq_blocks(__global const T *restrict q, __global const T *restrict kv,
                                __global const float *restrict rel, __global const int *restrict mask,
                                __global const float *restrict ld, __global const T *restrict dout,
                                __constant struct sy_step *c, __global T *restrict dq, __global float *restrict drel,
                                const struct sy_attention_args p)
{
    att_kernel(q, kv, rel, mask, ld, dout, c, dq, drel, p);
}
