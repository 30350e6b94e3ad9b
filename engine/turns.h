// SPDX-License-Identifier: Apache-2.0
// turns.h: which micro-batches of a step are whose, where ranks along the data axis take unequally many (layout.h).
//
// A step has a power of two of micro-batches for each place of the expert axis, and each place along the data axis a
// run of them, which is cut into blocks: nodes of the pairwise tree over the whole step, 2^k micro-batches from a
// multiple of 2^k on. Ranks add up inside their blocks, and then the blocks: the tree's other nodes, so the sum is the
// same. The E ranks of a block take it in equal runs, in their order: a block of E · 2^k micro-batches is a node of the
// tree, too. With equal shares a rank's micro-batches are one block.   Layer: engine.
#pragma once

#include "engine/layout.h"

struct sy_turns {
    uint32_t first; ///< Of a rank's own micro-batches, …
    uint32_t count; ///< … a power of two.
    uint32_t at;    ///< Where they are among the step's, E of which count as one.
};

/// The blocks of place `d` of the data axis, whose ranks take `micro_count` micro-batches each; how many.
uint32_t sy_turns_blocks(const struct sy_layout *l, uint32_t d, uint32_t micro_count,
                         struct sy_turns out[SY_MAX_BLOCKS]);
/// The same of this rank.
uint32_t sy_turns_own(const struct sy_layout *l, uint32_t micro_count, struct sy_turns out[SY_MAX_BLOCKS]);
/// The number among all micro-batches of a step of the `micro`-th that this rank takes.
uint32_t sy_turns_number(const struct sy_layout *l, uint32_t micro_count, uint32_t micro);
