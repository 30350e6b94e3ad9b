// SPDX-License-Identifier: Apache-2.0
// attention_blocks.c: attention in register blocks, launched as the op's own kernel is.
#include "engine/variant.h"

const struct sy_variant_impl sy_variant_impl_attention_blocks = {.what = "register blocks"};
