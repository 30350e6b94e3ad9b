// SPDX-License-Identifier: Apache-2.0
// plan.h: where every tensor lives.
//
// Lifetimes come from node order; activations whose lifetimes do not overlap share memory (greedy by size, lowest
// offset that fits). All tensors go into blocks no larger than the device allows. Shapes are enough: no device is
// needed, so apps/plan runs this very code on imaginary ones.
#pragma once

#include "engine/graph.h"

enum sy_arena {
    SY_ARENA_PARAMS,   ///< f32 masters.
    SY_ARENA_WEIGHTS,  ///< bf16 copies.
    SY_ARENA_PREPARED, ///< Panels of either.
    SY_ARENA_GRADS,
    SY_ARENA_STATE,       ///< Optimizer state.
    SY_ARENA_ACTIVATIONS, ///< Shared by lifetime.
    SY_ARENA_IO,          ///< Inputs, constants, and results the host reads.
    SY_ARENA_COUNT
};

struct sy_block {
    enum sy_arena arena;
    uint64_t bytes;
};

struct sy_plan {
    struct sy_block *blocks;
    size_t block_count;
    uint64_t arena_bytes[SY_ARENA_COUNT];
    uint64_t total_bytes;
    sy_tid largest; ///< Largest tensor, for error messages.
};

struct sy_limits {
    uint64_t max_block_bytes;   ///< One allocation; 0 = 1 GiB.
    uint64_t max_binding_bytes; ///< One binding; 0 = unlimited.
    uint32_t align;             ///< 0 = 256.
    bool borrow_params;         ///< Parameters and their copies live in another runtime: no room for them here …
    bool borrow_state;          ///< … nor for gradients and the optimizer's state.
};

/// Fills block and offset of every tensor of `g` that is not in pieces. Errors: INVALID when one (named) is larger than
/// one binding · UNSUPPORTED when it has more than 2^32 elements · NOMEM.
SY_MUST_CHECK enum sy_status sy_plan_create(struct sy_graph *g, const struct sy_limits *limits, struct sy_plan *out);
void sy_plan_finish(struct sy_plan *plan);
/// Bytes of a tensor's place, and of its binding: at least 64, whole words.
uint64_t sy_plan_bytes(const struct sy_tensor *x);
const char *sy_arena_name(enum sy_arena arena);
/// Where tensors of a kind lie.
enum sy_arena sy_arena_of(enum sy_tensor_kind kind);
