// SPDX-License-Identifier: Apache-2.0
// coop.h: how the products of coop.glsl are launched: launch knobs and the pipeline's constants, by device.
#pragma once

#include "engine/variant.h"

// Of the variants with factors in bf16, and of those with f16.
void sy_coop_tune_bf16(const struct sy_caps *caps, struct sy_knobs *knobs);
void sy_coop_tune_f16(const struct sy_caps *caps, struct sy_knobs *knobs);
void sy_coop_special_bf16(const struct sy_caps *caps, struct sy_kernel_params *out);
void sy_coop_special_f16(const struct sy_caps *caps, struct sy_kernel_params *out);
