// SPDX-License-Identifier: Apache-2.0
// layout.h: how the ranks of a run share its work (spec §13): which sequences and which experts are whose.
//
// World = data × expert. Rank d·E + e has place d along the data axis and e along the expert axis. Every rank has its
// own sequences: the step's batch is cut into as many equal runs, in the order of the ranks. Experts are cut into E
// runs: those of place e are the same on all d. Ownership: borrowed from the program.   Layer: engine.
#pragma once

#include "hostlib/group.h"

struct sy_layout {
    struct sy_group *group; ///< NULL: nobody to talk to (switchyard-plan).
    uint32_t data, expert;  ///< Sizes of the axes, powers of two.
    uint32_t rank;          ///< 0 … data · expert − 1
};

static inline uint32_t sy_layout_ranks(const struct sy_layout *l) { return l == NULL ? 1 : l->data * l->expert; }
static inline uint32_t sy_layout_rank(const struct sy_layout *l) { return l == NULL ? 0 : l->rank; }
/// Ranks that share the experts of one model among them.
static inline uint32_t sy_layout_sources(const struct sy_layout *l) { return l == NULL ? 1 : l->expert; }
/// This rank's place along the expert axis.
static inline uint32_t sy_layout_place(const struct sy_layout *l) { return l == NULL ? 0 : l->rank % l->expert; }
/// The rank at place `e` of the expert axis that this one exchanges rows with.
static inline uint32_t sy_layout_peer(const struct sy_layout *l, uint32_t e)
{
    return l->rank / l->expert * l->expert + e;
}
/// The first of `experts` that belongs to place `e`; `e` = size of the axis: all of them. Uneven shares differ by one
/// expert; with more places than experts some have none, but never the first.
static inline uint32_t sy_layout_first_expert(const struct sy_layout *l, uint32_t e, uint32_t experts)
{
    return (uint32_t)(((uint64_t)e * experts + l->expert - 1) / l->expert);
}
/// How many they are.
static inline uint32_t sy_layout_own_experts(const struct sy_layout *l, uint32_t e, uint32_t experts)
{
    return sy_layout_first_expert(l, e + 1, experts) - sy_layout_first_expert(l, e, experts);
}
