// SPDX-License-Identifier: Apache-2.0
// coop.h: how the products of coop.glsl are launched: launch knobs and the pipeline's constants, by device.
#pragma once

#include "engine/variant.h"

/// Items of a sub-group: 32 where the device lets us choose, what matrix cores are made for.
uint32_t sy_coop_lanes(const struct sy_caps *caps);
// Of the variants with factors in bf16, and of those with f16.
void sy_coop_tune_bf16(const struct sy_caps *caps, struct sy_knobs *knobs);
void sy_coop_tune_f16(const struct sy_caps *caps, struct sy_knobs *knobs);
void sy_coop_special_bf16(const struct sy_caps *caps, struct sy_kernel_params *out);
void sy_coop_special_f16(const struct sy_caps *caps, struct sy_kernel_params *out);
