// SPDX-License-Identifier: Apache-2.0
// buffer.h: device memory: allocate, fill, read back.
//
// A buffer is a byte range on one device; shapes and element types are the business of the layer above.
//
// A device does its work (programs, writes, reads, zeroing) as if in the order of the calls. Calls that only hand it
// work do not wait for what was handed over before: a program that is queued or running still sees the bytes from
// before a write, and the next one sees the new ones. Sources are copied into a ring of host memory that the device
// owns; the host waits only when that ring is full, for its oldest piece.
// Lifetime: owned by its device. Destroy only when no submitted program still uses it (sy_device_wait).
// Layer:    hostlib. Implemented by opencl/, vulkan/, ref/.
#pragma once

#include "hostlib/device.h"
#include "hostlib/event.h"

struct sy_buffer;

/// Allocates `bytes` (rounded up to 4) and zeroes them. `name` is copied; it appears in errors.
/// Errors: NOMEM with the name, bytes wanted and bytes had · INVALID above max_alloc_bytes.
SY_MUST_CHECK enum sy_status sy_buffer_create(struct sy_device *device, const char *name, uint64_t bytes,
                                              struct sy_buffer **out_buffer);
void sy_buffer_destroy(struct sy_buffer **buffer);
uint64_t sy_buffer_bytes(const struct sy_buffer *buffer); ///< After rounding up: what a binding or a copy may cover.

/// Copies host → device, in the device's order; `source` may be reused on return. Does not wait for queued work, unless
/// the ring of 16 MiB is full of writes that the device has not come to, or OpenCL is given more than 16 MiB at once.
SY_MUST_CHECK enum sy_status sy_buffer_write(struct sy_buffer *buffer, uint64_t offset_bytes, const void *source,
                                             uint64_t bytes);
/// Copies device → host; blocks until earlier submissions finish.
SY_MUST_CHECK enum sy_status sy_buffer_read(struct sy_buffer *buffer, uint64_t offset_bytes, void *destination,
                                            uint64_t bytes);
/// The same without blocking: what is read are the bytes as they are at this point of the device's order, whatever is
/// submitted next. `destination` must stay until the event is done or destroyed. At least 1 byte. Waits only when the
/// ring is full.
SY_MUST_CHECK enum sy_status sy_buffer_read_start(struct sy_buffer *buffer, uint64_t offset_bytes, void *destination,
                                                  uint64_t bytes, struct sy_event **out_event);
/// Copies between buffers of one device, or ranges of one buffer that do not overlap, in the device's order. Any
/// offsets and lengths. Does not wait.
SY_MUST_CHECK enum sy_status sy_buffer_copy(struct sy_buffer *source, uint64_t source_offset_bytes,
                                            struct sy_buffer *target, uint64_t target_offset_bytes, uint64_t bytes);
/// Sets a 4-byte-aligned range to zero bytes, ordered after everything submitted before.
SY_MUST_CHECK enum sy_status sy_buffer_zero(struct sy_buffer *buffer, uint64_t offset_bytes, uint64_t bytes);
