// SPDX-License-Identifier: Apache-2.0
// attention_dot: the variant `dot` of attention for x86 CPUs with AVX-512 for bf16: products of pairs of bf16
// (attention_pairs.cl.h), in tiles of 64 rows. All else is in attention_lanes.cl.h.
#define ATT_PAIRS
#include "attention_lanes.cl.h"

KERNEL void attention_dot(__global const T *restrict q, __global const T *restrict kv, __global const float *restrict rel,
                          __global const int *restrict mask, __constant struct sy_step *c, __global T *restrict o,
                          __global float *restrict lse, const struct sy_attention_args p)
{
    att_kernel(q, kv, rel, mask, c, o, lse, p);
}
