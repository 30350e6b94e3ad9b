// SPDX-License-Identifier: Apache-2.0
// shard.h: which rank updates which parameters (ZeRO-1): optimizer state and the work of the update are shared out.
//
// Ranks that hold the same parameters (all of them; of experts, those of one place along the expert axis) each own one
// run of every pack, cut between parameters into about equal shares. A rank gets the sums of its run alone, has the
// state and makes the update of its run alone, and sends the new values to the others. Ownership: the graph's.
// Layer: engine.
#pragma once

#include "engine/graph.h"

/// Elements first … end − 1 of a pack.
struct sy_shard {
    uint64_t first, end;
};

/// Cuts every pack; before the update is built. One rank owns all.
void sy_shards_cut(struct sy_graph *g);
/// What the i-th rank of those that hold a pack owns of it.
struct sy_shard sy_shard_of(const struct sy_graph *g, uint32_t pack, uint32_t i);
/// How many ranks hold a pack, and which of them this one is.
uint32_t sy_shard_count(const struct sy_graph *g, uint32_t pack);
uint32_t sy_shard_own(const struct sy_graph *g, uint32_t pack);
/// Emits, behind the update of a pack, what brings its new values to all ranks that hold it.
void sy_shard_share(struct sy_graph *g, uint32_t pack);
