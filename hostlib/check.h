// SPDX-License-Identifier: Apache-2.0
// check.h: checks and messages that device.c, buffer.c, kernel.c and program.c share. Private to hostlib.
#pragma once

#include "hostlib/backend.h"

/// DEVICE when an earlier failure lost the device.
SY_MUST_CHECK enum sy_status sy_device_usable(struct sy_device *device);
/// NOMEM, naming the buffer, the bytes wanted and the bytes had.
enum sy_status sy_fail_nomem(struct sy_device *device, const char *name, uint64_t bytes);
