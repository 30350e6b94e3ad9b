// SPDX-License-Identifier: Apache-2.0
// slices.h: sums over tokens that no layout changes (spec §11).
//
// The batch of a step is cut into N slices of sequences, N a power of two. What is summed over tokens (gradients,
// losses, counts) is summed inside each slice, and the slices by the pairwise tree ((0+1)+(2+3))+…. A micro-batch holds
// a power-of-two share of the slices: ops write one sum per slice (a leading dimension), which are added up as soon as
// the last contribution is there: they live no longer than an activation. After each of several micro-batches its sums
// are added to the partial sums of the step. Which sums are then ready depends on the micro-batch's number alone; each
// such merge is a phase, recorded once.
//
// Partial sums are kept like the digits of a binary counter: level k holds the sum of a block of 2^k micro-batches that
// waits for its right neighbour. A block's first micro-batch is stored where the block will be, so nothing is copied
// but the first of each pair; a step of K micro-batches has log2(K) levels, the last of which is the step's sum.
// Ownership: the graph's.   Layer: engine.
#pragma once

#include "engine/graph.h"

/// level[to] = or += the micro-batch's own sum (from 0) or level[from].
struct sy_merge {
    uint32_t from, to;
    bool add;
    uint32_t phase;
};

enum { SY_MAX_MERGES = 32 }; ///< After one micro-batch.

/// Whether a step needs merges at all: not when it is one micro-batch of one slice, whose sums are the step's.
bool sy_slices_merge(const struct sy_graph *g);

/// A rank holds a run of the slices too (layout.h). A sum over an expert's rows is kept apart for each rank that they
/// come from until the step's end, because the slices of another rank come after all of this rank's.

/// Place of a sum of d0·d1·d2 elements at `at` of a pack; where it is too large to be bound at once, it is cut into
/// whole units (pieces.h).
struct sy_sum sy_sum_place(struct sy_graph *g, uint32_t pack, uint64_t at, enum sy_tensor_kind kind, uint64_t d0,
                           uint64_t d1, uint64_t d2, uint64_t unit, const char *name);
/// A sum of n elements that is no gradient: losses, counts. The host reads it.
struct sy_sum sy_sum_new(struct sy_graph *g, uint64_t n, const char *name);
/// The pack that holds them; pack_count when there are none.
uint32_t sy_sum_pack(const struct sy_graph *g);
/// The tensor of a pack's sums of a whole step, which begin as those of this rank's first block (turns.h); and that of
/// any block's.
sy_tid sy_sum_total(const struct sy_graph *g, uint32_t pack);
sy_tid sy_sum_block(const struct sy_graph *g, uint32_t pack, uint32_t block);

/// [outer, n] = or += the tree over the middle of [outer, count, n], `count` a power of two: passes of at most eight.
void sy_tree_add(struct sy_graph *g, sy_tid from, sy_tid to, uint64_t n, uint32_t outer, uint32_t count, bool add);

/// Emits the merges of every micro-batch of a step, each once; after sy_backward().
void sy_slices_emit(struct sy_graph *g);
/// Emits, at the beginning of the update, what makes the ranks' sums one, where sy_overlap_emit() has not: the rest of
/// the tree; after sy_slices_emit().
void sy_ranks_emit(struct sy_graph *g);
/// The phases to run after micro-batch `micro`, in order: how many, in `out`.
uint32_t sy_slices_phases(const struct sy_graph *g, uint32_t micro, uint32_t out[SY_MAX_MERGES]);
