// SPDX-License-Identifier: Apache-2.0
// gradients.h: the part of the gradient test that looks at whole models (gradients_model.c).
#pragma once

#include "hostlib/device.h"
#include "tests/tap.h"

/// Central differences of a few weights of every parameter, for every router and kind of model.
void gradients_of_models(struct tap *tap, struct sy_ctx *ctx, struct sy_device *device);
