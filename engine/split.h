// SPDX-License-Identifier: Apache-2.0
// split.h: model parallelism: attention heads and d_ff are shared out over the ranks of the model axis (layout.h).
//
// What leads into heads or d_ff (q, k, v, wi) is split by rows, what leads out of them (o, wo) by columns, the tables
// of relative positions by heads. So each rank makes a summand of a sub-layer's output from the whole of its input:
// sum_parts makes it the sum, going forward, and going back the same of the input's gradient. All else is done by every
// rank alike. Ownership: the graph's.   Layer: engine.
#pragma once

#include "engine/graph.h"

/// sum_parts: y [n] = the pairwise tree over all parts' x, the same bits everywhere. mean_parts: of x, y and z, those
/// `ranges` = {which of the three, first, count} become the mean over all parts.
struct sy_parts_args {
    u32 n, ranges;
};

/// A run of a tensor's elements.
struct sy_range {
    int32_t which, first, count;
};

/// Where a parameter's rows and columns lie in the whole matrix.
struct sy_split {
    uint32_t rows, cols; ///< Of the whole.
    uint32_t row, col;   ///< The first of this rank's.
};

struct sy_split sy_split_of(const struct sy_graph *g, const struct sy_param *p);
static inline bool sy_param_split(const struct sy_param *p)
{
    return (p->flags & (SY_PARAM_SPLIT_ROWS | SY_PARAM_SPLIT_COLS)) != 0;
}
/// This rank's share of `n`, which is a multiple of the model axis.
uint32_t sy_split_share(const struct sy_graph *g, uint32_t n);
/// The sum of all parts' x; x itself where there is one.
sy_tid sy_split_sum(struct sy_graph *g, sy_tid x, const char *name);
/// Emits the means of `count` ranges of x; nothing where there are none.
void sy_split_mean(struct sy_graph *g, const struct sy_range *ranges, uint32_t count, const sy_tid x[3]);
