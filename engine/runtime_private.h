// SPDX-License-Identifier: Apache-2.0
// runtime_private.h: what a runtime is made of, for the engine's own files. Layer: engine, private to it.
#pragma once

#include "engine/graph_private.h"
#include "engine/runtime.h"

struct sy_runtime {
    struct sy_device *device;
    struct sy_graph *graph;
    struct sy_plan plan;
    struct sy_buffer **buffers;   ///< One per block; owned.
    struct sy_binding *places;    ///< [tensor_count] where each tensor lives, here or in the lender.
    struct sy_kernel **kernels;   ///< By variant, types and choice (kernel_slot); NULL when unused.
    struct sy_legs legs;          ///< Of all phases.
    struct sy_program **programs; ///< [legs.count]; NULL for a leg without dispatches.
    size_t *dispatch_count;       ///< [legs.count]
};
