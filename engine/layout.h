// SPDX-License-Identifier: Apache-2.0
// layout.h: how the ranks of a run share its work (spec §13): which sequences and which experts are whose.
//
// World = data × expert × model. Place d·E + e has d along the data axis and e along the expert axis. Every place has
// its own sequences: the step's batch is cut into as many runs, equal ones but for `turns`, in the order of the places.
// Experts are cut into E runs: those of place e are the same on all d. The M ranks of one place (part 0 … M − 1,
// neighbours in the run) work on the same sequences, each with its part of the heads and of d_ff (split.h): what is not
// split they do alike, and have the same bits of. Ownership: borrowed from the program.   Layer: engine.
#pragma once

#include "hostlib/group.h"

enum { SY_MAX_BLOCKS = 32 }; ///< Of a rank's micro-batches (turns.h).

struct sy_layout {
    struct sy_group *group; ///< NULL: nobody to talk to (switchyard-plan).
    uint32_t data, expert;  ///< Sizes of the axes, powers of two.
    uint32_t rank;          ///< The place: 0 … data · expert − 1
    uint32_t model, part;   ///< Size of the model axis, a power of two (0: 1), and this rank's place along it.
    const uint32_t *share;  ///< [expert + 1] the places' shares of the experts, added up from 0; NULL: equal ones.
    const uint32_t *turns;  ///< [data + 1] micro-batches of a step that ranks along the data axis take (turns.h), added
                            ///< up from 0, to a power of two; NULL: all take as many. For training alone.
};

/// Places: ranks with sequences of their own, each of which sy_layout_parts() share the work of.
static inline uint32_t sy_layout_ranks(const struct sy_layout *l) { return l == NULL ? 1 : l->data * l->expert; }
static inline uint32_t sy_layout_rank(const struct sy_layout *l) { return l == NULL ? 0 : l->rank; }
/// Ranks that share the work of one place, and which of them this one is.
static inline uint32_t sy_layout_parts(const struct sy_layout *l) { return l == NULL || l->model == 0 ? 1 : l->model; }
static inline uint32_t sy_layout_part(const struct sy_layout *l) { return l == NULL ? 0 : l->part; }
/// All ranks of the run; the one that speaks for it; and a rank's number in it.
static inline uint32_t sy_layout_world(const struct sy_layout *l) { return sy_layout_ranks(l) * sy_layout_parts(l); }
static inline bool sy_layout_first(const struct sy_layout *l)
{
    return sy_layout_rank(l) == 0 && sy_layout_part(l) == 0;
}
static inline uint32_t sy_layout_number(const struct sy_layout *l, uint32_t rank, uint32_t part)
{
    return rank * sy_layout_parts(l) + part;
}
/// Ranks that share the experts of one model among them.
static inline uint32_t sy_layout_sources(const struct sy_layout *l) { return l == NULL ? 1 : l->expert; }
/// This rank's place along the expert axis.
static inline uint32_t sy_layout_place(const struct sy_layout *l) { return l == NULL ? 0 : l->rank % l->expert; }
/// The number of the rank at place `e` of the expert axis that this one exchanges rows with.
static inline uint32_t sy_layout_peer(const struct sy_layout *l, uint32_t e)
{
    return sy_layout_number(l, l->rank / l->expert * l->expert + e, l->part);
}
/// The first of `experts` that belongs to place `e`; `e` = size of the axis: all of them. Equal shares differ by one
/// expert at most; some places may have none, but never the first.
static inline uint32_t sy_layout_first_expert(const struct sy_layout *l, uint32_t e, uint32_t experts)
{
    if (l->share != NULL) {
        const uint64_t all = l->share[l->expert], first = ((uint64_t)l->share[e] * experts + all / 2) / all;
        return e != 0 && first == 0 && experts != 0 ? 1 : (uint32_t)first;
    }
    return (uint32_t)(((uint64_t)e * experts + l->expert - 1) / l->expert);
}
/// How many they are.
static inline uint32_t sy_layout_own_experts(const struct sy_layout *l, uint32_t e, uint32_t experts)
{
    return sy_layout_first_expert(l, e + 1, experts) - sy_layout_first_expert(l, e, experts);
}
