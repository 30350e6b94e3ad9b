// SPDX-License-Identifier: Apache-2.0
// event.h: a read that was started and may be under way (sy_buffer_read_start).
//
// Lifetime: owned by the caller. The destination belongs to the read until the event is done or destroyed.
// Threads:  those of its device: one at a time. Nothing is copied behind the caller's back: what has come from the
// device
//           may reach the destination only in a call on the event or on its device.
// Layer:    hostlib. Implemented by opencl/, vulkan/, ref/.
#pragma once

#include <stdbool.h>

#include "hostlib/status.h"

struct sy_event;

/// Blocks until the destination has the bytes. Errors: DEVICE; the destination is then undefined.
SY_MUST_CHECK enum sy_status sy_event_wait(struct sy_event *event);
/// Whether the destination has the bytes, without waiting. Once true it stays so, even when the device is lost later.
SY_MUST_CHECK enum sy_status sy_event_done(struct sy_event *event, bool *out_done);
/// Waits when it is not done. On a lost device it cannot: the destination must then stay until that is closed.
void sy_event_destroy(struct sy_event **event);
