// SPDX-License-Identifier: Apache-2.0
// coop_attention.h: how the attention ops on matrix cores (shaders/coop_attention.glsl) are launched, by device.
#pragma once

#include "engine/variant.h"
#include "kernels/op_args.h"

#define SY_COOP_HEAD 64 // the widest head that they take: HEAD of coop_attention.glsl

/// More than one block of queries and of keys, the last ones not full; dropout.
extern const struct sy_attention_args sy_coop_attention_proof;

/// Whether they are right for these arguments (struct sy_attention_args).
bool sy_coop_attention_suits(const void *args);
// Work-groups over the query rows, and over the keys.
uint64_t sy_coop_attention_query_groups(const void *args, const struct sy_knobs *knobs);
uint64_t sy_coop_attention_key_groups(const void *args, const struct sy_knobs *knobs);
// Of the variants with factors in bf16, and of those with f16.
void sy_coop_attention_tune_bf16(const struct sy_caps *caps, struct sy_knobs *knobs);
void sy_coop_attention_tune_f16(const struct sy_caps *caps, struct sy_knobs *knobs);
void sy_coop_attention_special_bf16(const struct sy_caps *caps, struct sy_kernel_params *out);
void sy_coop_attention_special_f16(const struct sy_caps *caps, struct sy_kernel_params *out);
