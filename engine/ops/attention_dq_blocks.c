// SPDX-License-Identifier: Apache-2.0
// attention_dq_blocks.c: attention_dq in register blocks, launched as the op's own kernel is.
#include "engine/variant.h"

const struct sy_variant_impl sy_variant_impl_attention_dq_blocks = {.what = "register blocks"};
