// SPDX-License-Identifier: Apache-2.0
// memory.h: how much memory a program may use on this machine without being killed for it.
//
// Drivers of CPU devices report the machine's memory, or what a library counts of it, or a constant: none of it says
// what is free. Linux does. Layer: hostlib.
#pragma once

#include "hostlib/status.h"

struct sy_host_memory {
    uint64_t bytes;
    const char *from; ///< What the number is made of, for people.
};

/// The least of what is free or can be freed and what a container (control group, version 1 or 2) leaves. `root` is put
/// before /proc and /sys: "" but for tests.
struct sy_host_memory sy_host_memory(const char *root);
