// SPDX-License-Identifier: Apache-2.0
// attention_dkv_dot: the variant `dot` of attention_dkv for x86 CPUs with AVX-512 for bf16: products of pairs of bf16
// (attention_pairs.cl.h), in tiles of 64 rows. All else is in attention_dkv_lanes.cl.h.
#define ATT_PAIRS
#include "attention_dkv_lanes.cl.h"

KERNEL void attention_dkv_dot(__global const T *restrict q, __global const T *restrict kv,
                              __global const float *restrict rel, __global const int *restrict mask,
                              __global const float *restrict ld, __global const T *restrict dout,
                              __constant struct sy_step *c, __global T *restrict dkv, const struct sy_attention_args p)
{
    att_kernel(q, kv, rel, mask, ld, dout, c, dkv, p);
}
