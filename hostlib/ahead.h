// SPDX-License-Identifier: Apache-2.0
// ahead.h: kernels compiled by other processes first, where a driver compiles one at a time and keeps what it made in a
// cache of its own (PoCL): they work side by side there, and the compiler's memory is gone when they are.
//
// The others are the program switchyard-compile (apps/compile.c), found beside the running program or where it was
// installed. Without it, and where it fails, this process compiles alone. What it compiled is marked by empty files in
// the driver's cache, so that they go when that goes.
// Layer: hostlib; not installed.
#pragma once

#include "hostlib/kernel.h"

/// Has what is not marked compiled; nothing to do on most devices. No failure: whoever wants the kernels compiles them,
/// or takes them from the driver's cache. SY_COMPILE_ALONE=1: not at all.
void sy_kernels_ahead(struct sy_device *device, const struct sy_kernel_params *params, size_t count);

/// All that switchyard-compile does: opens `device`; reads the kernels that sy_kernels_ahead() wrote to the file
/// `jobs`; compiles those whose numbers come through the pipe `work`, one by one; writes a byte to `done` for each,
/// whatever became of it. Returns an exit status.
int sy_ahead_serve(const char *device, int jobs, int work, int done);
