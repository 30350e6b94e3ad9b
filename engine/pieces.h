// SPDX-License-Identifier: Apache-2.0
// pieces.h: tensors that are larger than one binding of the device, or than 2^32 elements.
//
// Such a tensor has no place of its own. It is seen as [planes, columns] (one plane, unless it holds the sums of
// several slices), and its pieces are tensors of all planes and a range of columns each, which one binding holds.
// Layers, gradient rules and the host see the whole; cut.c turns the ops on it into ops on its pieces.
// Ownership: the graph's.   Layer: engine.
#pragma once

#include "engine/graph.h"

/// Elements of a type that one binding holds, as padded as a pack is (SY_PACK_ALIGN).
uint64_t sy_most_elements(const struct sy_graph *g, enum sy_dtype dtype);
/// Columns of one piece of `columns` columns: all of them when they fit into one binding at once, or when not even
/// `unit` of them do (a piece is a whole number of units; the plan then refuses the tensor by name).
uint64_t sy_piece_columns(const struct sy_graph *g, enum sy_dtype dtype, uint64_t planes, uint64_t columns,
                          uint64_t unit);
/// Cuts a tensor into pieces of `each` columns, and each of those into pieces of `fine`.
void sy_pieces_cut(struct sy_graph *g, sy_tid t, uint64_t planes, uint64_t each, uint64_t fine);
/// Cuts a tensor of as many columns where `like` is cut.
void sy_pieces_alike(struct sy_graph *g, sy_tid t, uint64_t planes, sy_tid like);
/// Columns of a piece, or of a tensor in pieces.
static inline uint64_t sy_tensor_columns(const struct sy_tensor *x) { return x->count / x->planes; }
/// The piece that holds a column.
sy_tid sy_piece_at(const struct sy_graph *g, sy_tid whole, uint64_t column);
