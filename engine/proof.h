// SPDX-License-Identifier: Apache-2.0
// proof.h: variants that are not taken on trust: each computes a small case on a device before it is first used there.
//
// What a driver makes of a kernel can be wrong without an error, and a training would go on for days. A variant whose
// implementation names a `proof` is compared with the reference; where it is wrong, the device has it no more.
//
// Layer:  engine.
#pragma once

#include "engine/variant.h"

/// Of one kernel: whether what it computes with these arguments is what the reference does. Both work on made-up
/// numbers.
SY_MUST_CHECK enum sy_status sy_prove(struct sy_device *device, const struct sy_variant *v, enum sy_op_types types,
                                      struct sy_kernel *kernel, const void *args, bool *out_good);
/// Of every variant with a proof that the device would run, once for each device; a word about each that is refused.
/// One that does not compile is no matter here: it gives way to the next when it is wanted.
SY_MUST_CHECK enum sy_status sy_prove_variants(struct sy_device *device);
