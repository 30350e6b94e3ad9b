// SPDX-License-Identifier: Apache-2.0
// devices_kernels.h: what a device's compiler makes of every kernel (switchyard-devices --kernels).
#pragma once

#include <jansson.h>

#include "apps/cli.h"

/// Compiles every variant that the device can run of every op (of those named in `only`, when it names any) and prints
/// one line each with the compiler's statistics, or with `json` (an object) fills in "kernels", and "error" when the
/// device does not open. `assembly`: a folder that gets DIR/SOURCE.TYPES.txt, or NULL. A kernel that fails does not
/// stop the others; the first failure is returned.
SY_MUST_CHECK enum sy_status devices_kernels(struct sy_ctx *ctx, const struct sy_caps *caps,
                                             const struct cli_list *only, const char *assembly, json_t *json);
